"""Many small arrays: their bytes in one stretch instead of a reduction for each, and each an array of its own again.

A pickle that has them begins with a header, and in it the arrays stand as numbers of the memo, which both ends fill
before it begins: neither asks Python about any of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kernel_bridge.codecs.arrays import OUT_OF_BAND_BYTES, Memory, has_buffer, numpy

_FEWEST: Final = 64
# For each: push the next buffer, which is the array, give it a number, and take it off again.
_TO_MEMO: Final = b"\x97\x940"

Shape = tuple[Any, tuple[int, ...], int]  # dtype, shape, how many


@dataclass(frozen=True, slots=True)
class SmallArrays:
    """Small arrays in the order of their numbers: those of one type and shape follow one another."""

    arrays: Sequence[Any]
    shapes: tuple[Shape, ...]

    @property
    def opcodes(self) -> bytes:
        """What the pickle begins with, so that the arrays are in its memo."""
        return _TO_MEMO * len(self.arrays)

    def joined(self) -> bytes:
        """Return their bytes."""
        return b"".join(self.arrays)


def gather(values: Iterable[Any], memory: Memory) -> SmallArrays | None:
    """Find the small arrays among the objects of one pickle; None where they are few."""
    ndarray = getattr(numpy(), "ndarray", None)
    found = [value for value in values if type(value) is ndarray and value.nbytes < OUT_OF_BAND_BYTES]
    if len(found) < _FEWEST:
        return None
    shared = memory.placed.keys() | {id(value) for value in memory.keep}
    groups: dict[tuple[Any, tuple[int, ...]], list[Any]] = {}
    for array in found:
        if array.flags.carray and id(array) not in shared:
            groups.setdefault((array.dtype, array.shape), []).append(array)
    groups = {key: group for key, group in groups.items() if _can_join(key[0])}
    arrays = [array for group in groups.values() for array in group]
    shapes = tuple((dtype, shape, len(group)) for (dtype, shape), group in groups.items())
    return SmallArrays(arrays, shapes) if len(arrays) >= _FEWEST else None


def scatter(data: Any, shapes: Iterable[Shape]) -> list[Any]:
    """Make the arrays again, each with memory of its own."""
    np = sys.modules["numpy"]
    arrays: list[Any] = []
    offset = 0
    for dtype, shape, count in shapes:
        block = np.ndarray((count, *shape), dtype, data, offset)
        offset += block.nbytes
        arrays += [row.copy() for row in block] if shape else [np.array(item, dtype) for item in block]
    return arrays


def _can_join(dtype: Any) -> bool:
    return bool(not dtype.hasobject and dtype.itemsize and has_buffer(dtype))
