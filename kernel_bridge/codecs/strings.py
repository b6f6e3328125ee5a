"""Object arrays of strings, as pandas keeps its columns: one joined text instead of a pickle per string."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from kernel_bridge.codecs.arrays import is_array_type, reduce_array

if TYPE_CHECKING:
    from kernel_bridge.codecs.pickler import NotebookPickler

__all__ = ["is_array_type", "is_text", "make_string_array", "reduce_string_array", "remembered"]

_FEWEST: Final = 1000
_SAMPLE: Final = 1000
# None of these is likely inside a text; the first that is not in this one separates its strings.
_SEPARATORS: Final = ("\x00", "\x1e", "\x1f", "\uf8ff", "\U0010fffd")


class _Arrivals(threading.local):
    """The arrays that were made of a text a moment ago, by id, each with its reduction."""

    made: dict[int, tuple[Any, Any]] | None = None


_ARRIVALS: Final = _Arrivals()


def reduce_string_array(array: Any, pickler: NotebookPickler) -> Any:
    """Reduce an object array whose elements are strings, but for a few missing ones; else as any array."""
    if array.dtype != object or array.size < _FEWEST:
        return reduce_array(array, pickler)
    if pickler.references.has_builtin_kinds():  # a text among them may have to travel as a name
        return NotImplemented
    _, known = (_ARRIVALS.made or {}).get(id(array), (None, None))
    if known is not None:
        return known
    values = array.ravel(order="C").tolist()
    odd = _odd_ones(values)
    if odd is None or _repeats(values):
        return NotImplemented
    for index in odd:
        values[index] = ""
    joined = _join(values)
    if joined is None:
        return NotImplemented
    separator, text = joined
    rest = {index: array.flat[index] for index in odd}
    return make_string_array, (_buffer(text), separator, array.shape, rest)


def make_string_array(text: Any, separator: str, shape: tuple[int, ...], rest: dict[int, Any]) -> Any:
    """Make the object array that was joined."""
    np = sys.modules["numpy"]
    array = np.empty(0, dtype=object)
    # As numpy restores its own pickles: five times as fast as an assignment.
    array.__setstate__((1, shape, array.dtype, False, str(memoryview(text), "utf-8", "surrogatepass").split(separator)))
    flat = array.reshape(-1)
    for index, value in rest.items():
        flat[index] = value
    if _ARRIVALS.made is not None and not rest:
        _ARRIVALS.made[id(array)] = array, (make_string_array, (text, separator, shape, rest))
    return array


@contextmanager
def remembered() -> Iterator[None]:
    """While a unit is taken in: what is made of a text need not be joined again to know what arrived."""
    before, _ARRIVALS.made = _ARRIVALS.made, {}
    try:
        yield
    finally:
        _ARRIVALS.made = before


def is_text(array: Any) -> bool:
    """Whether an array was made of a text a moment ago: it holds strings only."""
    return _ARRIVALS.made is not None and id(array) in _ARRIVALS.made


def _odd_ones(values: list[Any]) -> list[int] | None:
    """Return the indices that hold something else than a string; None when they are many."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return []
    if str not in kinds:
        return None
    odd = [index for index, value in enumerate(values) if type(value) is not str]
    return odd if len(odd) * 4 <= len(values) else None


def _repeats(values: list[Any]) -> bool:
    """Whether few string objects stand many times, which the ordinary memo sends and keeps better."""
    sample = values[:: max(1, len(values) // _SAMPLE)]
    return len(set(map(id, sample))) * 2 < len(sample)


def _join(values: list[str]) -> tuple[str, bytes] | None:
    for separator in _SEPARATORS:
        text = separator.join(values)
        if text.count(separator) == len(values) - 1:
            return separator, text.encode("utf-8", "surrogatepass")
    return None


def _buffer(text: bytes) -> Any:
    np = sys.modules["numpy"]
    return np.frombuffer(text, dtype="u1")
