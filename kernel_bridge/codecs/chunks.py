"""What of a large buffer has changed since it was last stored: chunk by chunk, so that only those are sent.

A chunk is known by its xxh3_128, like everything else that is asked "is this unchanged"; what is sent is addressed by
BLAKE3 as any blob.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import xxhash

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.blobs import Patch

CHUNK_BYTES: Final = 1 << 20
PATCHED_FROM_BYTES: Final = 8 << 20  # smaller ones are sent whole
_MOST_CHANGED: Final = 0.25  # of the chunks; beyond it a new whole blob costs little more
_REMEMBERED: Final = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """A buffer that the blob service holds whole."""

    name: str
    size_bytes: int
    marks: tuple[bytes, ...]


class History:
    """The large buffers that one end has stored or fetched, the last ones."""

    def __init__(self) -> None:
        self._stored: OrderedDict[str, Stored] = OrderedDict()

    def note(self, name: str, marks: tuple[bytes, ...], size_bytes: int) -> None:
        """Remember what a blob holds."""
        self._stored[name] = Stored(name, size_bytes, marks)
        self._stored.move_to_end(name)
        while len(self._stored) > _REMEMBERED:
            self._stored.popitem(last=False)

    def forget(self, name: str) -> None:
        """Forget a blob that the service holds no more."""
        self._stored.pop(name, None)

    def nearest(self, marks: Sequence[bytes], size_bytes: int) -> Patch | None:
        """Return how a buffer differs from the stored one it is most like; None where none is like it."""
        found: Patch | None = None
        for stored in reversed(self._stored.values()):
            if stored.size_bytes == size_bytes:
                changed = tuple(n for n, (old, new) in enumerate(zip(stored.marks, marks, strict=True)) if old != new)
                if found is None or len(changed) < len(found.chunks):
                    found = Patch(stored.name, CHUNK_BYTES, changed)
        return found if found is not None and len(found.chunks) <= len(marks) * _MOST_CHANGED else None


def marks_of(view: memoryview) -> tuple[bytes, ...]:
    """Return the fingerprints of a buffer's chunks."""
    return tuple(xxhash.xxh3_128_digest(view[at : at + CHUNK_BYTES]) for at in range(0, view.nbytes, CHUNK_BYTES))


def changed_bytes(view: memoryview, patch: Patch) -> bytes:
    """Return the chunks that a patch names, one after another."""
    return b"".join(view[first:last] for first, last in _spans(patch, view.nbytes))


def apply(patch: Patch, changed: memoryview, target: memoryview) -> None:
    """Write the chunks of a patch where they belong; raises BadRequest for one that does not fit."""
    spans = list(_spans(patch, target.nbytes))
    offsets = [0]
    for first, last in spans:
        offsets.append(offsets[-1] + last - first)
    if offsets[-1] != changed.nbytes:
        raise BadRequest("A patch does not have the bytes that it names.")
    for (first, last), (start, end) in zip(spans, pairwise(offsets), strict=True):
        target[first:last] = changed[start:end]


def patch_bytes(patch: Patch, size_bytes: int) -> int:
    """Return how many bytes the chunks of a patch are; raises BadRequest for chunks the buffer does not have."""
    return sum(last - first for first, last in _spans(patch, size_bytes))


def _spans(patch: Patch, size_bytes: int) -> Iterator[tuple[int, int]]:
    for number in patch.chunks:
        first = number * patch.chunk_bytes
        if number < 0 or patch.chunk_bytes <= 0 or first >= size_bytes:
            raise BadRequest("A patch names a chunk that its buffer does not have.")
        yield first, min(first + patch.chunk_bytes, size_bytes)
