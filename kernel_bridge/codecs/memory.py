"""Fresh memory for large values, in huge pages where the system has them: small ones cost six times as much to fill."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Final

_HUGE_FROM_BYTES: Final = 4 << 20  # below it, a page of 2 MiB at either end would waste much of it
_PRIVATE: Final = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
_HUGE: Final = getattr(mmap, "MADV_HUGEPAGE", None)


def private_memory(size_bytes: int) -> memoryview:
    """Return writable, page-aligned memory of our own, full of zeros."""
    if not size_bytes:
        return memoryview(bytearray())
    # Python's default is MAP_SHARED: pages of a file in memory, which the kernel hands out one by one.
    mapped = mmap.mmap(-1, size_bytes, _PRIVATE) if _PRIVATE else mmap.mmap(-1, size_bytes)
    if _HUGE is not None and size_bytes >= _HUGE_FROM_BYTES:
        with suppress(OSError):  # a kernel without huge pages
            mapped.madvise(_HUGE)
    return memoryview(mapped)
