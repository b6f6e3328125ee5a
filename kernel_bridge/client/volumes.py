"""The control plane's routes of volumes, as methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from urllib.parse import quote

from kernel_bridge.client.replies import FileEntry, VersionInfo, VolumeInfo
from kernel_bridge.client.transport import Transport
from kernel_bridge.protocol.content import Chunk, ContentMap
from kernel_bridge.protocol.wire import from_wire

SLOW_S: Final = 3600.0  # a commit or a digest reads whatever is there


class VolumeRoutes:
    """Volumes and their files. Every method raises a CellburstError."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def list(self) -> tuple[VolumeInfo, ...]:
        """Return the volumes, with the sizes last seen."""
        return tuple(from_wire(VolumeInfo, each) for each in self._http.json("GET", "/v1/volumes"))

    def get(self, name: str) -> VolumeInfo:
        """Return one volume as it is now; raises NotFound."""
        return from_wire(VolumeInfo, self._http.json("GET", _volume(name), timeout_s=SLOW_S))

    def create(self, name: str) -> VolumeInfo:
        """Create a volume unless it is there."""
        return from_wire(VolumeInfo, self._http.json("PUT", _volume(name)))

    def rename(self, name: str, new_name: str) -> VolumeInfo:
        """Give a volume another name; raises NotFound, or Conflict where that is taken or a container has it."""
        return from_wire(VolumeInfo, self._http.json("POST", _volume(name), json={"name": new_name}))

    def set_quota(self, name: str, quota_bytes: int) -> None:
        """Limit what a volume and its versions take of the disk; 0 is no limit."""
        self._http.json("POST", _volume(name), json={"quota_bytes": quota_bytes})

    def delete(self, name: str) -> None:
        """Delete a volume and what is in it; raises NotFound, or Conflict while a container has it."""
        self._http.json("DELETE", _volume(name), timeout_s=SLOW_S)

    def files(self, name: str, path: str = "", *, recursive: bool = False, version: int = 0) -> tuple[FileEntry, ...]:
        """Return what is in a directory of a volume, or everything below it; raises NotFound."""
        params = {"path": path, "recursive": str(recursive).lower(), **_of(version)}
        answer = self._http.json("GET", f"{_volume(name)}/files", params=params, timeout_s=SLOW_S)
        return tuple(from_wire(FileEntry, each) for each in answer["entries"])

    def put_small(self, name: str, path: str, data: bytes, digest: str, *, executable: bool = False) -> None:
        """Write a file that is one chunk at most."""
        params = {"digest": digest, **({"executable": "true"} if executable else {})}
        self._http.json("PUT", f"{_volume(name)}/files/{_path(path)}", params=params, content=data)

    def make_directory(self, name: str, path: str) -> None:
        """Make a directory and those on the way."""
        self._http.json("PUT", f"{_volume(name)}/files/{_path(path)}", params={"directory": "true"})

    def put_pack(self, name: str, pack: bytes) -> None:
        """Write many small files at once."""
        self._http.json("POST", f"{_volume(name)}/pack", content=pack, timeout_s=SLOW_S)

    def begin_upload(self, name: str, asked: dict[str, Any]) -> tuple[str, frozenset[int]]:
        """Begin a file that is sent in chunks; return its id and the chunks that are there."""
        answer = self._http.json("POST", f"{_volume(name)}/uploads", json=asked)
        return str(answer["id"]), frozenset(answer["present"])

    def put_chunk(self, name: str, upload_id: str, index: int, data: bytes, digest: str) -> None:
        """Send one chunk."""
        path = f"{_volume(name)}/uploads/{upload_id}/{index}"
        self._http.json("PUT", path, params={"digest": digest}, content=data)

    def finish_upload(self, name: str, upload_id: str, digest: str) -> None:
        """Have a file appear that was sent in chunks; raises Conflict where it is not what was sent."""
        self._http.json("POST", f"{_volume(name)}/uploads/{upload_id}", json={"digest": digest}, timeout_s=SLOW_S)

    def content(self, name: str, path: str, version: int = 0) -> ContentMap:
        """Return what a file holds, as digests; raises NotFound."""
        where = f"{_volume(name)}/content/{_path(path)}"
        answer = self._http.json("GET", where, params=_of(version), timeout_s=SLOW_S)
        chunks = tuple(Chunk(int(index), str(digest)) for index, digest in answer["chunks"])
        return ContentMap(size_bytes=int(answer["size_bytes"]), chunks=chunks, digest=str(answer["digest"]))

    def read_small(self, name: str, path: str, version: int = 0) -> tuple[bytes, str]:
        """Return a file of one chunk at most, and its digest; of a larger one the beginning, and no digest."""
        with self._http.opened(f"{_volume(name)}/files/{_path(path)}", params=_of(version)) as response:
            return response.read(), response.headers.get("x-content-digest", "")

    def read(
        self, name: str, path: str, first: int, last: int, version: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Read the bytes `first` to `last` of a file."""
        return self._read(f"{_volume(name)}/files/{_path(path)}", f"bytes={first}-{last}", version)

    def remove(self, name: str, path: str, *, recursive: bool = False) -> None:
        """Remove a file of a volume, or a directory with `recursive`."""
        params = {"recursive": "true"} if recursive else {}
        self._http.json("DELETE", f"{_volume(name)}/files/{_path(path)}", params=params, timeout_s=SLOW_S)

    def copy(self, name: str, sources: Sequence[str], destination: str, version: int = 0) -> int:
        """Copy within a volume, or out of a version of it; return how many files."""
        asked = {"sources": list(sources), "destination": destination, "version": version}
        return int(self._http.json("POST", f"{_volume(name)}/copy", json=asked, timeout_s=SLOW_S)["files"])

    def commit(self, name: str, message: str = "") -> VersionInfo:
        """Keep what the volume holds now as a version."""
        answer = self._http.json("POST", f"{_volume(name)}/versions", json={"message": message}, timeout_s=SLOW_S)
        return from_wire(VersionInfo, answer)

    def log(self, name: str) -> tuple[VersionInfo, ...]:
        """Return the versions, newest first."""
        return tuple(
            from_wire(VersionInfo, each) for each in self._http.json("GET", f"{_volume(name)}/versions")["versions"]
        )

    def forget(self, name: str, version: int) -> int:
        """Forget a version; return how many bytes of disk that gives back."""
        answer = self._http.json("DELETE", f"{_volume(name)}/versions/{version}", timeout_s=SLOW_S)
        return int(answer["freed_bytes"])

    @contextmanager
    def pack(self, name: str, path: str, version: int = 0) -> Iterator[Iterator[bytes]]:
        """Read a pack of the small files below a directory."""
        with self._http.opened(f"{_volume(name)}/pack", params={"path": path, **_of(version)}) as response:
            yield response.iter_raw(1 << 20)

    @contextmanager
    def _read(self, path: str, wanted: str, version: int) -> Iterator[Iterator[bytes]]:
        with self._http.opened(path, params=_of(version), headers={"Range": wanted}) as response:
            yield response.iter_raw(1 << 20)


def _volume(name: str) -> str:
    return f"/v1/volumes/{quote(name, safe='')}"


def _path(path: str) -> str:
    return quote(path.strip("/"))


def _of(version: int) -> dict[str, str]:
    return {"version": str(version)} if version else {}
