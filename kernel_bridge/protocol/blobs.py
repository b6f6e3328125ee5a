"""Bytes that travel beside a message: inside it, through the shared arena, or as a stored blob."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kernel_bridge.errors import BadRequest

_DIGEST = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?\Z")

ARENA_DIGEST_LENGTH: Final = 32  # xxh3_128: names a file of one session's arena on one host
BLOB_DIGEST_LENGTH: Final = 64  # blake3: names what leaves the host or is stored


@dataclass(frozen=True, slots=True)
class Patch:
    """Which chunks of a blob, by their numbers, are other than in the blob `base`."""

    base: str
    chunk_bytes: int
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BufferRef:
    """Where the bytes are: `inline` is an index into the message's buffers; else `digest` names a file or a blob.

    A digest of 32 digits (xxh3_128) is a file of that name in the session's arena, a directory both ends share; one of
    64 digits (BLAKE3) is a blob at `/v1/blobs/DIGEST`. With a patch, that blob is its chunks one after another, and the
    bytes are those of the patch's base with these chunks in their places.
    """

    size_bytes: int
    inline: int | None = None
    digest: str = ""
    patch: Patch | None = None

    @property
    def moved_bytes(self) -> int:
        """How many bytes travel: of a patch, its chunks."""
        return self.size_bytes if self.patch is None else len(self.patch.chunks) * self.patch.chunk_bytes


@dataclass(frozen=True, slots=True)
class UnitHead:
    """One co-variable on the wire: names that share objects, in one pickle."""

    names: tuple[str, ...]
    pickle: BufferRef
    buffers: tuple[BufferRef, ...] = ()
    types: dict[str, str] | None = None


def check_digest(text: str) -> str:
    """Return the digest if it is one (nothing else may become a file's name); raises BadRequest."""
    if not _DIGEST.match(text):
        raise BadRequest(f"{text[:80]!r} is not a digest.")
    return text
