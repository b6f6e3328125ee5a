"""A co-variable as bytes: before it is sent and after it has arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PackedUnit:
    """Names that share mutable objects, pickled together."""

    names: tuple[str, ...]
    pickle: bytes
    buffers: tuple[memoryview | bytes, ...] = ()  # out of band, C-contiguous raw bytes
    digests: tuple[str, ...] = ()  # xxh3_128 of each buffer, in hex and in the same order
    types: Mapping[str, str] = field(default_factory=dict)  # name -> short name of its type, for messages

    @property
    def size_bytes(self) -> int:
        """Return the size of everything that would travel."""
        return len(self.pickle) + sum(memoryview(buffer).nbytes for buffer in self.buffers)


@dataclass(frozen=True, slots=True)
class ReceivedUnit:
    """A unit from the other side; its buffers are ours alone and may be written."""

    names: tuple[str, ...]
    pickle: bytes | memoryview
    buffers: tuple[memoryview, ...] = ()
    digests: tuple[str, ...] = ()  # xxh3_128 of each buffer; empty where it did not travel with it
