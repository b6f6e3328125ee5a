"""Copy one open file into another: shared blocks where the file system has them, and holes stay holes everywhere."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Final

from kernel_bridge.protocol.content import Chunk, ContentMap, chunk_digest, map_of
from kernel_bridge.sparse import chunks_of, content_map, write_chunk

_FICLONE: Final = 0x40049409  # linux/fs.h
_CANNOT_CLONE: Final = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM})


def copy_file(source: int, target: int, size_bytes: int) -> ContentMap:
    """Fill an empty file with the first bytes of another and return what it holds now. Raises OSError."""
    if clone(source, target):
        os.ftruncate(target, size_bytes)
        return content_map(target, size_bytes)
    found = []
    for index, data in chunks_of(source, size_bytes):
        found.append(Chunk(index, chunk_digest(data)))
        write_chunk(target, index, data)
    os.ftruncate(target, size_bytes)
    return map_of(size_bytes, found)


def clone(source: int, target: int) -> bool:
    """Let one file share all blocks of another; False where the file system cannot."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno not in _CANNOT_CLONE:
            raise
        return False
    return True
