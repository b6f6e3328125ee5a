"""What a file's bytes are called: a digest over its chunks, in which a chunk of zeros costs nothing.

A file is cut into chunks of CHUNK_BYTES. The digest is the BLAKE3 of its size and, for every chunk that is not all
zeros, of the chunk's number and BLAKE3. So a hole has the digest of the zeros it reads as, whichever way a file system
keeps it, and needs no reading; a transfer that was cut goes on with the chunks that are missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import blake3

from kernel_bridge.errors import BadRequest

CHUNK_BYTES: Final = 8 << 20
FILE_LIMIT_BYTES: Final = 1 << 40  # of one file of a volume

_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
_ZEROS: Final = bytes(CHUNK_BYTES)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk that is not all zeros: its number and the BLAKE3 of its bytes."""

    index: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentMap:
    """What a file holds: its size, its chunks that are not all zeros, and the digest over them."""

    size_bytes: int
    chunks: tuple[Chunk, ...]
    digest: str


def map_of(size_bytes: int, chunks: Iterable[Chunk]) -> ContentMap:
    """Return the map of a file of these chunks, in any order."""
    ordered = tuple(sorted(chunks, key=lambda chunk: chunk.index))
    whole = blake3.blake3(size_bytes.to_bytes(8, "big"))
    for chunk in ordered:
        whole.update(chunk.index.to_bytes(8, "big") + bytes.fromhex(chunk.digest))
    return ContentMap(size_bytes=size_bytes, chunks=ordered, digest=whole.hexdigest())


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Return the digest of a file that is one chunk at most."""
    return map_of(len(data), [Chunk(0, chunk_digest(data))] if not is_zero(data) else []).digest


def chunk_digest(data: bytes | bytearray | memoryview) -> str:
    """Return the BLAKE3 of a chunk's bytes."""
    return blake3.blake3(data).hexdigest()


def is_zero(data: bytes | bytearray | memoryview) -> bool:
    """Tell whether a chunk holds nothing but zeros."""
    return data[:4096] == _ZEROS[: min(len(data), 4096)] and data == memoryview(_ZEROS)[: len(data)]


def chunk_size(size_bytes: int, index: int) -> int:
    """Return how many bytes a chunk of a file has; raises BadRequest for one beyond its end."""
    left = size_bytes - index * CHUNK_BYTES
    if index < 0 or left <= 0:
        raise BadRequest(f"A file of {size_bytes} bytes has no chunk {index}.")
    return min(left, CHUNK_BYTES)


def check_content_digest(text: str) -> str:
    """Return a digest if it is one; raises BadRequest."""
    if not _DIGEST.match(text):
        raise BadRequest("A content digest is 64 hexadecimal digits.")
    return text
