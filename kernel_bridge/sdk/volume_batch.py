"""Several files and folders on their way into a volume: sent at the end of the `with` block."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kernel_bridge.client.volumes import VolumeRoutes
from kernel_bridge.errors import Conflict, NotFound
from kernel_bridge.sdk.volume_upload import Outgoing, send, send_bytes


class Batch:
    """What `Volume.batch_upload` returns. An exception in the block sends nothing."""

    def __init__(self, routes: VolumeRoutes, name: str, *, force: bool) -> None:
        self._routes = routes
        self._name = name
        self._force = force
        self._files: list[Outgoing] = []
        self._data: list[tuple[str, IO[bytes]]] = []

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._send()

    def put_file(self, local_file: str | Path | IO[bytes], remote_path: str) -> None:
        """Send a local file, or what an open one holds, to a path; with a slash at its end, into that folder."""
        if isinstance(local_file, (str, Path)):
            local = Path(local_file).expanduser()
            self._files.append(Outgoing(local, _into(remote_path, local.name)))
        else:
            self._data.append((remote_path.strip("/"), local_file))

    def put_directory(self, local_path: str | Path, remote_path: str, *, recursive: bool = True) -> None:
        """Send what is in a local folder to a folder; raises NotFound."""
        folder = Path(local_path).expanduser()
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder}.")
        base = remote_path.strip("/")
        for path in files_below(folder) if recursive else (each for each in folder.iterdir() if each.is_file()):
            self._files.append(Outgoing(path, posixpath.join(base, path.relative_to(folder).as_posix())))

    def _send(self) -> None:
        if not self._force:
            there = {e.path for e in self._routes.files(self._name, "", recursive=True) if e.kind != "directory"}
            for remote in (*(each.remote for each in self._files), *(remote for remote, _ in self._data)):
                if remote in there:
                    raise Conflict(f"{remote} is in the volume already: `batch_upload(force=True)` overwrites it.")
        send(self._routes, self._name, self._files, lambda path, count: None)
        for remote, file in self._data:
            send_bytes(self._routes, self._name, remote, file.read())


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, those that links lead to included, in order."""
    yield from sorted(each for each in folder.rglob("*") if each.is_file())


def _into(remote: str, name: str) -> str:
    return posixpath.join(remote, name).strip("/") if remote.endswith("/") or not remote else remote.strip("/")
