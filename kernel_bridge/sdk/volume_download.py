"""Fetch files of a volume: what is here already is not fetched again, every chunk is checked, and holes stay holes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from kernel_bridge.client.replies import FileEntry
from kernel_bridge.client.volumes import VolumeRoutes
from kernel_bridge.errors import Conflict
from kernel_bridge.protocol.content import CHUNK_BYTES, Chunk, chunk_digest, chunk_size, digest_of, is_zero
from kernel_bridge.sparse import chunks_of, content_map, read_chunk, write_chunk

Count = Callable[[str, int], None]  # a file's path, and how many of its bytes were dealt with just now
_PART: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


def read(routes: VolumeRoutes, name: str, path: str, version: int = 0) -> Iterator[bytes]:
    """Yield a file's bytes, each piece checked; raises NotFound, or Conflict when the file changes meanwhile."""
    data, digest = routes.read_small(name, path, version) if _is_small(routes, name, path, version) else (b"", "")
    if digest:
        yield _checked(path, data, digest)
        return
    found = routes.content(name, path, version)
    digests = {chunk.index: chunk.digest for chunk in found.chunks}
    for index in range(-(-found.size_bytes // CHUNK_BYTES)):
        size_bytes = chunk_size(found.size_bytes, index)
        if index not in digests:
            yield bytes(size_bytes)
        else:
            yield _fetch_chunk(routes, (name, path, version), Chunk(index, digests[index]), size_bytes)


def fetch(routes: VolumeRoutes, name: str, entry: FileEntry, target: Path, count: Count, version: int = 0) -> None:
    """Copy one file to a local path, where it appears when all of it is here and checked.

    What an earlier try left beside it is used. Raises NotFound, Conflict when the file changes meanwhile, or OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    descriptor = os.open(part, _PART, 0o755 if entry.executable else 0o644)
    try:
        if entry.size_bytes <= CHUNK_BYTES:
            data, digest = routes.read_small(name, entry.path, version)
            write_chunk(descriptor, 0, _checked(entry.path, data, digest), fresh=False)
            os.ftruncate(descriptor, len(data))
            count(entry.path, len(data))
        else:
            _fetch_large(routes, (name, entry.path, version), descriptor, count)
        part.replace(target)
    except Conflict:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def is_same(routes: VolumeRoutes, name: str, entry: FileEntry, target: Path, version: int = 0) -> bool:
    """Tell whether a local file holds what one of the volume does."""
    if not target.is_file() or target.stat().st_size != entry.size_bytes:
        return False
    with target.open("rb") as file:
        here = content_map(file.fileno(), entry.size_bytes)
    return here == routes.content(name, entry.path, version)


def _fetch_large(routes: VolumeRoutes, what: tuple[str, str, int], descriptor: int, count: Count) -> None:
    name, path, version = what
    found = routes.content(name, path, version)
    size_bytes = found.size_bytes
    if os.fstat(descriptor).st_size != size_bytes:
        os.ftruncate(descriptor, 0)
    os.ftruncate(descriptor, size_bytes)
    wanted = {chunk.index for chunk in found.chunks}
    for index, _ in chunks_of(descriptor, size_bytes):
        if index not in wanted:  # of an earlier state of the file
            write_chunk(descriptor, index, bytes(chunk_size(size_bytes, index)), fresh=False)
    told_bytes = 0
    for chunk in found.chunks:
        size = chunk_size(size_bytes, chunk.index)
        here = read_chunk(descriptor, chunk.index, size_bytes)
        if is_zero(here) or chunk_digest(here) != chunk.digest:
            write_chunk(descriptor, chunk.index, _fetch_chunk(routes, what, chunk, size), fresh=is_zero(here))
        end = chunk.index * CHUNK_BYTES + size
        count(path, end - told_bytes)  # the hole before it, too
        told_bytes = end
    count(path, size_bytes - told_bytes)


def _fetch_chunk(routes: VolumeRoutes, what: tuple[str, str, int], chunk: Chunk, size_bytes: int) -> bytes:
    name, path, version = what
    first = chunk.index * CHUNK_BYTES
    with routes.read(name, path, first, first + size_bytes - 1, version) as pieces:
        data = b"".join(pieces)
    if chunk_digest(data) != chunk.digest:
        raise Conflict(f"{path} changed while it was read: try again.")
    return data


def _is_small(routes: VolumeRoutes, name: str, path: str, version: int) -> bool:
    found = routes.files(name, path, version=version)
    return len(found) == 1 and found[0].path == path.strip("/") and found[0].size_bytes <= CHUNK_BYTES


def _checked(path: str, data: bytes, digest: str) -> bytes:
    if digest_of(data) != digest:
        raise Conflict(f"{path} did not arrive as it was sent: try again.")
    return data
