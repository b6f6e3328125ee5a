"""Read a file chunk by chunk without reading its holes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from kernel_bridge.protocol.content import CHUNK_BYTES, Chunk, ContentMap, chunk_digest, is_zero, map_of
from kernel_bridge.protocol.messages import Buffer

_BLOCK_BYTES = 1 << 20
_SEEK_DATA = getattr(os, "SEEK_DATA", -1)


def chunks_of(descriptor: int, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of every chunk that is not all zeros, up to a size. Raises OSError."""
    index = 0
    while (index := _next_with_data(descriptor, index, size_bytes)) * CHUNK_BYTES < size_bytes:
        data = read_chunk(descriptor, index, size_bytes)
        if not is_zero(data):
            yield index, data
        index += 1


def read_chunk(descriptor: int, index: int, size_bytes: int) -> bytes:
    """Return the bytes of one chunk; fewer where the file has become shorter."""
    offset, end = index * CHUNK_BYTES, min((index + 1) * CHUNK_BYTES, size_bytes)
    data = os.pread(descriptor, end - offset, offset)
    while offset + len(data) < end and (more := os.pread(descriptor, end - offset - len(data), offset + len(data))):
        data += more
    return data


def write_chunk(descriptor: int, index: int, data: Buffer, *, fresh: bool = True) -> None:
    """Write one chunk. Where nothing was written yet (`fresh`) its zeros stay a hole. Raises OSError."""
    view, offset = memoryview(data), index * CHUNK_BYTES
    step = _BLOCK_BYTES if fresh else CHUNK_BYTES
    for start in range(0, len(view), step):
        block = view[start : start + step]
        done = len(block) if fresh and is_zero(block) else 0
        while done < len(block):
            done += os.pwrite(descriptor, block[done:], offset + start + done)


def content_map(descriptor: int, size_bytes: int) -> ContentMap:
    """Return what an open file holds, up to a size."""
    return map_of(size_bytes, (Chunk(index, chunk_digest(data)) for index, data in chunks_of(descriptor, size_bytes)))


def _next_with_data(descriptor: int, index: int, size_bytes: int) -> int:
    """Return the number of the first chunk from `index` on in which something may lie."""
    if _SEEK_DATA < 0 or index * CHUNK_BYTES >= size_bytes:
        return index
    try:
        return os.lseek(descriptor, index * CHUNK_BYTES, _SEEK_DATA) // CHUNK_BYTES
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole up to the end
            return -(-size_bytes // CHUNK_BYTES)
        return index  # this file system cannot tell
