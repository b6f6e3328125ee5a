"""Subclasses of numpy's array (masked, matrix, record, memmap, the notebook's own): memory, class and attributes.

numpy copies them into the pickle and leaves their attributes out. A memmap travels as its values: over there it is one
without a file behind it, and what is written into it is written into the one that has the file.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from kernel_bridge.codecs.arrays import described, is_array_type, make_view, numpy

if TYPE_CHECKING:
    from kernel_bridge.codecs.pickler import NotebookPickler

_PICKLED_BY: Final = ("__reduce__", "__reduce_ex__", "__setstate__")


def is_array_class(kind: type) -> bool:
    """Whether a type is a subclass whose objects are made of memory and attributes, and nothing else."""
    return _is_array_class(kind)


def is_memory(kind: type) -> bool:
    """Whether an array's type is numpy's own or such a subclass: it can be a view of another one on its way."""
    return is_array_type(kind) or _is_array_class(kind)


def reduce_array_class(array: Any, pickler: NotebookPickler) -> Any:
    """Reduce such an array to its memory, its class and its attributes."""
    plain = as_plain(array)
    if array.dtype.hasobject or not array.dtype.itemsize:
        memory: tuple[Any, ...] = (plain,)
    else:
        memory = described(plain, pickler.array_memory.placed.get(id(array)))
    return make_array_class, (type(array), *memory), attributes(array), None, None, set_attributes


def make_array_class(kind: type, *memory: Any) -> Any:
    """Make an array of a class over memory that arrived."""
    plain = memory[0] if len(memory) == 1 else make_view(*memory)
    made = plain.view(kind)
    return made if made.dtype == plain.dtype else plain.view(dtype=plain.dtype, type=kind)


def set_attributes(array: Any, state: dict[str, Any]) -> None:
    """Give a new array its attributes."""
    getattr(array, "__dict__", {}).update(state)


def attributes(array: Any) -> dict[str, Any]:
    """Return the attributes that travel: not what ties it to a file of this side."""
    found = getattr(array, "__dict__", {})
    return {name: value for name, value in found.items() if type(value) is not mmap.mmap}


def as_plain(array: Any) -> Any:
    """Return an array as numpy's own type over the same memory."""
    return array if is_array_type(type(array)) else array.view(sys.modules["numpy"].ndarray)


def object_parts(array: Any) -> Iterator[Any]:
    """Yield the parts of an array that hold objects, itself or fields of it, as views."""
    plain = as_plain(array)
    if plain.dtype == object:
        yield plain
    elif plain.dtype.hasobject:
        for name in plain.dtype.names or ():
            yield from object_parts(plain[name])


def can_take(old: Any, new: Any) -> bool:
    """Whether an array can take another one's values and flag, and stay itself.

    One that is read-only takes those that it has.
    """
    if not is_memory(type(old)) or old.dtype != new.dtype or old.shape != new.shape:
        return False
    if old.flags.writeable:
        return True
    return not new.flags.writeable and _same_bytes(as_plain(old), as_plain(new))


def take(old: Any, new: Any, resolve: Callable[[list[Any]], list[Any]]) -> None:
    """Write one array's values into another; `resolve` says what stands here for objects that arrived."""
    for part in object_parts(new):
        items = part.ravel().tolist()
        for index, (item, resolved) in enumerate(zip(items, resolve(items), strict=True)):
            if item is not resolved:
                _put(part, index, resolved)
    if old is not new and old.flags.writeable:
        sys.modules["numpy"].copyto(as_plain(old), as_plain(new))
        if not new.flags.writeable:
            old.flags.writeable = False


def has_own_attributes(array: Any) -> bool:
    """Whether an array has attributes that travel; a memmap's say which file it is, which is each side's own."""
    return is_array_class(type(array)) and not isinstance(array, sys.modules["numpy"].memmap)


def _same_bytes(old: Any, new: Any) -> bool:
    if old.dtype.hasobject or not old.dtype.itemsize or not old.size:
        return not old.dtype.hasobject
    if not old.flags.c_contiguous or not new.flags.c_contiguous:
        return False
    np = sys.modules["numpy"]
    return bool(np.array_equal(old.reshape(-1).view("u1"), new.reshape(-1).view("u1")))


def _put(part: Any, index: int, value: Any) -> None:
    """Store an object as it is: numpy would take a list for several values where there is no index."""
    if part.ndim:
        part[sys.modules["numpy"].unravel_index(index, part.shape)] = value
    else:
        part.reshape(1)[0] = value


@lru_cache(maxsize=4096)
def _is_array_class(kind: type) -> bool:
    np = numpy()
    if np is None or kind is np.ndarray or not issubclass(kind, np.ndarray):
        return False
    return any(
        issubclass(kind, base) and all(getattr(kind, name) is getattr(base, name) for name in _PICKLED_BY)
        for base in (np.ndarray, np.ma.MaskedArray)
    )
