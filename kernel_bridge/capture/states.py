"""Objects of extension classes that can take another one's state: generators of random numbers, buffers, partials."""

from __future__ import annotations

import array
import io
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from kernel_bridge.codecs.locks import LOCKS

Resolve = Callable[[Any], Any]

BUILTIN_TYPES: Final = (random.Random, array.array, io.StringIO, io.BytesIO, partial, *LOCKS)
LIBRARY_TYPES: Final = (
    ("numpy.random", "Generator"),
    ("numpy.random", "BitGenerator"),
    ("numpy.random", "RandomState"),
    ("torch", "Generator"),
    ("_elementtree", "Element"),
)


def can_take(old: Any, new: Any) -> bool:
    """Whether an object can take the state of another one of its type and is then the same."""
    for accepts, check in _CHECKS:
        if accepts(type(old)):
            return bool(check(old) == check(new))
    return True


def take(old: Any, new: Any, resolve: Resolve) -> None:
    """Give an object another one's state; `resolve` says what stands here for objects that arrived."""
    if isinstance(new, partial):
        state = (resolve(new.func), resolve(new.args), resolve(new.keywords), resolve(new.__dict__))
        old.__setstate__(state)
    elif old is not new:
        next(write for accepts, write in _WRITERS if accepts(type(old)))(old, new)


def members(value: Any) -> list[Any]:
    """Return the objects inside one that the walk must see."""
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    return []


def own_bytes(value: Any) -> int:
    """Return about how many bytes one takes on its way."""
    if isinstance(value, array.array):
        return len(value) * value.itemsize
    if isinstance(value, io.BytesIO) and not value.closed:
        return value.getbuffer().nbytes
    return 64


def _is(library: str, name: str) -> Callable[[type], bool]:
    def accepts(kind: type) -> bool:
        found = getattr(sys.modules.get(library), name, None)
        return isinstance(found, type) and issubclass(kind, found)

    return accepts


def _is_a(*bases: type) -> Callable[[type], bool]:
    return lambda kind: issubclass(kind, bases)


def _write_lock(old: Any, new: Any) -> None:
    """Leave it as it is: nobody holds the one that arrived, and who holds this one holds it."""
    del old, new


def _write_random(old: Any, new: Any) -> None:
    old.setstate(new.getstate())


def _write_array(old: Any, new: Any) -> None:
    old[:] = new


def _write_stream(old: Any, new: Any) -> None:
    old.__setstate__(new.__getstate__())


def _write_generator(old: Any, new: Any) -> None:
    old.bit_generator.state = new.bit_generator.state


def _write_bits(old: Any, new: Any) -> None:
    old.state = new.state


def _write_random_state(old: Any, new: Any) -> None:
    old.set_state(new.get_state(legacy=False))


def _write_torch(old: Any, new: Any) -> None:
    old.set_state(new.get_state())


def _bits(generator: Any) -> Any:
    """Return what the state of a generator of numpy leaves out: its algorithm, and how many it has spawned."""
    bits = getattr(generator, "bit_generator", None) or getattr(generator, "_bit_generator", generator)
    seeds = getattr(bits, "seed_seq", None)
    return type(bits), getattr(seeds, "entropy", None), getattr(seeds, "n_children_spawned", None)


_WRITERS: Final[tuple[tuple[Callable[[type], bool], Callable[[Any, Any], None]], ...]] = (
    (_is_a(random.Random), _write_random),
    (_is_a(array.array), _write_array),
    (_is_a(io.StringIO, io.BytesIO), _write_stream),
    (_is("numpy.random", "Generator"), _write_generator),
    (_is("numpy.random", "BitGenerator"), _write_bits),
    (_is("numpy.random", "RandomState"), _write_random_state),
    (_is("torch", "Generator"), _write_torch),
    (_is("_elementtree", "Element"), _write_stream),
    (_is_a(*LOCKS), _write_lock),
)
_CHECKS: Final[tuple[tuple[Callable[[type], bool], Callable[[Any], Any]], ...]] = (
    (_is_a(array.array), lambda value: value.typecode),
    (_is("numpy.random", "Generator"), _bits),
    (_is("numpy.random", "BitGenerator"), _bits),
    (_is("numpy.random", "RandomState"), _bits),
    (_is("torch", "Generator"), lambda value: str(value.device)),
)
