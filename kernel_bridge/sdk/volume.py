"""A volume by name: to mount in cells, and to read and write from wherever Python runs."""

from __future__ import annotations

import builtins
import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Final

from kernel_bridge.errors import BadOption, CellburstError, Conflict, error_from
from kernel_bridge.protocol.cells import AGENT_DOOR
from kernel_bridge.protocol.sessions import VolumeMount

if TYPE_CHECKING:
    from kernel_bridge.client.replies import FileEntry, VersionInfo, VolumeInfo
    from kernel_bridge.sdk.volume_batch import Batch

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


def check_name(kind: str, name: str) -> str:
    """Return the name if a volume or a secret may have it; raises BadOption."""
    if not _NAME.match(name):
        raise BadOption(f"`{name}` cannot name a {kind}: letters, digits, `_`, `.` and `-`, 64 at most.")
    return name


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory that outlives containers. `%%gpu --volume NAME:/path` or `--volume VARIABLE:/path` mounts it.

    What reads and writes files here speaks with the runtime and raises a CellburstError. In a cell that has the volume
    mounted its files are at their path; there, `commit` and `reload` are what is left to do.
    """

    name: str
    is_read_only: bool = False
    create_if_missing: bool = False
    sub_path: str = ""
    version: int = 0

    @classmethod
    def from_name(cls, name: str, *, create_if_missing: bool = False, version: int = 0) -> Volume:
        """Return the volume of this name, or a version of it; it is looked up (or made) when it is first used.

        Raises BadOption for what cannot be a name.
        """
        return cls(check_name("volume", name), bool(version), create_if_missing, version=version)

    @staticmethod
    def rename(old_name: str, new_name: str) -> None:
        """Give a volume another name; raises NotFound, or Conflict where that is taken or a container has it."""
        _routes(None).rename(check_name("volume", old_name), check_name("volume", new_name))

    @staticmethod
    def delete(name: str) -> None:
        """Delete a volume with its versions; raises NotFound, or Conflict while a container has it."""
        _routes(None).delete(check_name("volume", name))

    def read_only(self) -> Volume:
        """Return this volume for mounting read-only."""
        return replace(self, is_read_only=True)

    def with_mount_options(self, *, read_only: bool | None = None, sub_path: str | None = None) -> Volume:
        """Return this volume as it is to be mounted: read-only, or only a folder of it. Raises BadOption."""
        if sub_path is not None and ".." in sub_path.split("/"):
            raise BadOption(f"`{sub_path}` is no folder of a volume: name it from its root, without `..`.")
        below = self.sub_path if sub_path is None else "/".join(p for p in sub_path.split("/") if p not in ("", "."))
        return replace(self, is_read_only=self.is_read_only if read_only is None else read_only, sub_path=below)

    def mount(self, path: str) -> VolumeMount:
        """Return this volume at an absolute path of the container; raises BadOption for another kind of path."""
        if not path.startswith("/") or path.rstrip("/") == "" or ".." in path.split("/"):
            raise BadOption(f"`{path}` is no place for a volume: write an absolute path such as `/models`.")
        read_only = self.is_read_only or bool(self.version)
        return VolumeMount(self.name, path.rstrip("/"), read_only, self.sub_path, self.version)

    def info(self) -> VolumeInfo:
        """Return its size, growth, quota and cost; raises NotFound."""
        found: VolumeInfo = _routes(self).get(self.name)
        return found

    def commit(self, message: str = "") -> int:
        """Keep what the volume holds now as a version and return its number; the newest again where nothing changed.

        Raises Conflict for a file that is being written, TooLarge without room: then nothing is kept.
        """
        if (door := _door()) is not None:
            return int(_through(door, {"verb": "commit", "name": self.name, "message": message})["version"])
        return int(_routes(self).commit(self.name, message).version)

    def reload(self) -> int:
        """Return the number of the newest version, 0 for none.

        There is nothing to fetch: every container of the host sees what another wrote at once.
        """
        if (door := _door()) is not None:
            return int(_through(door, {"verb": "log", "name": self.name})["version"])
        versions = self.log()
        return versions[0].version if versions else 0

    def log(self) -> tuple[VersionInfo, ...]:
        """Return the versions, newest first."""
        found: tuple[VersionInfo, ...] = _routes(self).log(self.name)
        return found

    def listdir(self, path: str = "/", *, recursive: bool = False) -> list[FileEntry]:
        """Return what is in a directory, or everything below it, in order of path; raises NotFound."""
        return list(_routes(self).files(self.name, path, recursive=recursive, version=self.version))

    def iterdir(self, path: str = "/", *, recursive: bool = True) -> Iterator[FileEntry]:
        """Yield what is below a directory; raises NotFound."""
        yield from self.listdir(path, recursive=recursive)

    def read_file(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes piece by piece, each checked; raises NotFound, or Conflict when it changes meanwhile."""
        yield from _files().read(_routes(self), self.name, path, self.version)

    def read_file_into_fileobj(self, path: str, fileobj: IO[bytes]) -> int:
        """Write a file's bytes into an open file; return how many. Raises as `read_file` does."""
        return sum(fileobj.write(piece) for piece in self.read_file(path))

    def batch_upload(self, *, force: bool = False) -> Batch:
        """Return what uploads: `with volume.batch_upload() as batch: batch.put_file(local, path)`.

        Files that are there are a Conflict without `force`, before anything is sent.
        """
        made: Batch = importlib.import_module("kernel_bridge.sdk.volume_batch").Batch(
            _routes(self), self.name, force=force
        )
        return made

    def remove_file(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file, or a directory with `recursive`; raises NotFound or Conflict."""
        _routes(self).remove(self.name, path, recursive=recursive)

    def copy_files(self, src_paths: Sequence[str], dst_path: str, *, recursive: bool = False) -> None:
        """Copy within the volume, or out of the version that this is, as `cp` does; raises NotFound or Conflict."""
        if not recursive:
            for path in src_paths:
                if any(entry.path != path.strip("/") for entry in self.listdir(path)):
                    raise Conflict(f"{path} is a directory: copy it with `recursive=True`.")
        _routes(self).copy(self.name, src_paths, dst_path, self.version)


def _files() -> Any:
    return importlib.import_module("kernel_bridge.sdk.volume_download")


def _routes(volume: Volume | None) -> Any:
    """Return the runtime's routes. They need an HTTP library, which a container may not have, so they come by name."""
    if _door() is not None:
        raise Conflict("In a cell a volume's files are at the path it is mounted at: use them there.")
    routes = importlib.import_module("kernel_bridge.sdk.volume_runtime").volume_routes()
    if volume is not None and volume.create_if_missing:
        routes.create(volume.name)
    return routes


def _door() -> Any:
    """Return the way to this container's agent; None outside a cell."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    return getattr(shell, AGENT_DOOR, None)


def _through(door: Any, asked: dict[str, Any]) -> dict[str, Any]:
    answer = door("volume_request", asked)
    if answer is None:
        raise CellburstError("The container's agent does not answer.")
    if answer.get("why"):
        raise error_from(str(answer.get("code", "error")), str(answer["why"]))
    return dict(answer)
