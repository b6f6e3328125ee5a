"""Fingerprints of buffers: fast, 128 bits, for "is this unchanged", never for trust."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

import xxhash

Buffer = memoryview | bytes


def digest(buffer: Buffer) -> str:
    """Return the xxh3_128 of a buffer in hex."""
    return xxhash.xxh3_128_hexdigest(buffer)


def fingerprint(in_band: Buffer, digests: Iterable[str]) -> str:
    """Return one fingerprint for a pickle and its out-of-band buffers."""
    state = xxhash.xxh3_128(in_band)
    state.update("|".join(digests).encode())
    return state.hexdigest()


def address(buffer: memoryview) -> int | None:
    """Return where a writable buffer lies in memory; None for one that is read-only or empty."""
    if buffer.readonly or not buffer.nbytes:
        return None
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class KnownDigests:
    """Digests of memory that nobody has touched since they were taken, so that it is not hashed twice."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[int, int], str] = {}

    def learn(self, place: int | None, size_bytes: int, value: str) -> None:
        """Remember the digest of the memory at an address."""
        if place is not None:
            self._by_place[place, size_bytes] = value

    def at(self, place: int | None, size_bytes: int) -> str | None:
        """Return the digest remembered for an address and size."""
        return None if place is None else self._by_place.get((place, size_bytes))

    def of(self, buffer: memoryview) -> str:
        """Return a buffer's digest, remembered or computed."""
        return (self.at(address(buffer), buffer.nbytes) if self._by_place else None) or digest(buffer)
