"""Send files to a volume: large ones in chunks that need be sent once, small ones many at a time."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.client.volumes import VolumeRoutes
from kernel_bridge.errors import BadRequest, Conflict, NotFound, RuntimeUnreachable
from kernel_bridge.protocol.content import CHUNK_BYTES, Chunk, chunk_digest, digest_of, map_of
from kernel_bridge.sparse import chunks_of, content_map, read_chunk

Count = Callable[[str, int], None]  # a file's path, and how many of its bytes were dealt with just now
PACK_BYTES: Final = 8 << 20
PACK_FILES: Final = 500
SMALL_BYTES: Final = 1 << 20
_PAUSES_S: Final = (0.2, 1.0, 3.0)  # before a chunk is sent again to a runtime that did not answer


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One local file and where it goes in the volume."""

    local: Path
    remote: str


def send(routes: VolumeRoutes, name: str, files: Iterable[Outgoing], count: Count) -> int:
    """Send files, each of which appears whole; return how many.

    Raises a CellburstError, or OSError for what cannot be read here. What was sent before stays, and a large file that
    was cut goes on where it was when it is sent again.
    """
    pack, sent = _Pack(routes, name, count), 0
    for each in files:
        descriptor = os.open(each.local, os.O_RDONLY | os.O_CLOEXEC)
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise BadRequest(f"{each.local} is not a regular file.")
            if info.st_size <= SMALL_BYTES:
                pack.add(each.remote, read_chunk(descriptor, 0, info.st_size), bool(info.st_mode & 0o100))
            elif info.st_size <= CHUNK_BYTES:
                _send_whole(routes, name, each.remote, read_chunk(descriptor, 0, info.st_size), info)
                count(each.remote, info.st_size)
            else:
                _send_chunks(routes, name, each, descriptor, count)
        finally:
            os.close(descriptor)
        sent += 1
    pack.send()
    return sent


def send_bytes(routes: VolumeRoutes, name: str, remote: str, data: bytes) -> None:
    """Send a file that is in memory."""
    if len(data) <= CHUNK_BYTES:
        routes.put_small(name, remote, data, digest_of(data))
        return
    asked = {"path": remote, "size_bytes": len(data), "key": hashlib.sha256(data).hexdigest()}
    upload_id, present = routes.begin_upload(name, asked)
    found = []
    for index in range(-(-len(data) // CHUNK_BYTES)):
        piece = data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        if piece.strip(b"\0"):
            found.append(_send_chunk(routes, name, upload_id, index, piece, present))
    routes.finish_upload(name, upload_id, map_of(len(data), found).digest)


def _send_whole(routes: VolumeRoutes, name: str, remote: str, data: bytes, info: os.stat_result) -> None:
    routes.put_small(name, remote, data, digest_of(data), executable=bool(info.st_mode & 0o100))


def _send_chunks(routes: VolumeRoutes, name: str, each: Outgoing, descriptor: int, count: Count) -> None:
    info, found, told_bytes = os.fstat(descriptor), [], 0
    asked = {
        "path": each.remote,
        "size_bytes": info.st_size,
        "disk_bytes": info.st_blocks * 512,
        "key": _key(each.local, info),
        "executable": bool(info.st_mode & 0o100),
    }
    if _is_there(routes, name, each.remote, descriptor, info.st_size):
        count(each.remote, info.st_size)
        return
    upload_id, present = routes.begin_upload(name, asked)
    for index, data in chunks_of(descriptor, info.st_size):
        found.append(_send_chunk(routes, name, upload_id, index, data, present))
        end = index * CHUNK_BYTES + len(data)
        count(each.remote, end - told_bytes)  # the hole before it, too
        told_bytes = end
    routes.finish_upload(name, upload_id, map_of(info.st_size, found).digest)
    count(each.remote, info.st_size - told_bytes)


def _is_there(routes: VolumeRoutes, name: str, remote: str, descriptor: int, size_bytes: int) -> bool:
    """Tell whether the volume holds this very file already: an earlier try came so far."""
    try:
        found = routes.files(name, remote)
        if len(found) != 1 or (found[0].path, found[0].size_bytes) != (remote.strip("/"), size_bytes):
            return False
        return routes.content(name, remote) == content_map(descriptor, size_bytes)
    except (NotFound, Conflict):
        return False


def _send_chunk(
    routes: VolumeRoutes, name: str, upload_id: str, index: int, data: bytes, present: frozenset[int]
) -> Chunk:
    digest = chunk_digest(data)
    if index in present:
        return Chunk(index, digest)
    for pause_s in (*_PAUSES_S, None):
        try:
            routes.put_chunk(name, upload_id, index, data, digest)
            break
        except RuntimeUnreachable:
            if pause_s is None:
                raise
            time.sleep(pause_s)
    return Chunk(index, digest)


def _key(local: Path, info: os.stat_result) -> str:
    """Name this very file, so that sending it again goes on where it was cut."""
    told = f"{local.resolve()}\n{info.st_ino}\n{info.st_size}\n{info.st_mtime_ns}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


class _Pack:
    """Small files on their way in one body."""

    def __init__(self, routes: VolumeRoutes, name: str, count: Count) -> None:
        self._routes = routes
        self._name = name
        self._count = count
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._told: list[tuple[str, int]] = []

    def add(self, remote: str, data: bytes, executable: bool) -> None:
        try:
            remote.encode()
        except UnicodeEncodeError:
            raise NotFound(f"The name {remote!r} is not text: rename the file to send it.") from None
        head = {"path": remote, "size_bytes": len(data), "digest": digest_of(data), "executable": executable}
        text = json.dumps(head).encode()
        self._parts += [len(text).to_bytes(4, "big"), text, data]
        self._size_bytes += len(data)
        self._told.append((remote, len(data)))
        if self._size_bytes >= PACK_BYTES or len(self._told) >= PACK_FILES:
            self.send()

    def send(self) -> None:
        if self._told:
            self._routes.put_pack(self._name, b"".join(self._parts))
        for remote, size_bytes in self._told:
            self._count(remote, size_bytes)
        self._parts, self._told, self._size_bytes = [], [], 0
