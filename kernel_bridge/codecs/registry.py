"""The ordered table of reducers: which types have a codec of their own."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from types import CellType, FrameType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from kernel_bridge.codecs import strings, tensors
from kernel_bridge.codecs.functions import reduce_cached, reduce_cell
from kernel_bridge.errors import CannotTravel

if TYPE_CHECKING:
    from kernel_bridge.codecs.pickler import NotebookPickler

Reducer = Callable[[Any, "NotebookPickler"], Any]

# The first reducer whose predicate accepts a type wins; it may still answer NotImplemented for one value.
REDUCERS: Final[list[tuple[Callable[[type], bool], Reducer]]] = []

_BY_TYPE: Final[dict[type, Reducer | None]] = {}
_ODDITIES: Final = (GeneratorType, FrameType, TracebackType)


def reducer_for(kind: type) -> Reducer | None:
    """Return the codec of a type, or None when cloudpickle knows best."""
    try:
        return _BY_TYPE[kind]
    except KeyError:
        found = next((reduce for accepts, reduce in REDUCERS if accepts(kind)), None)
        _BY_TYPE[kind] = found
        return found


def register(accepts: Callable[[type], bool], reduce: Reducer) -> None:
    """Add a codec before the ones that are there."""
    REDUCERS.insert(0, (accepts, reduce))
    _BY_TYPE.clear()


def _refuse_file(value: io.IOBase, _: NotebookPickler) -> Any:
    # cloudpickle would read the whole file and hand over a StringIO; that is another thing than an open file.
    del value
    raise CannotTravel("an open file cannot travel")


def _reduce_cached(function: Any, pickler: NotebookPickler) -> Any:
    return reduce_cached(function, pickler.namespace)


def _refuse(value: object, _: NotebookPickler) -> Any:
    raise CannotTravel(f"a {type(value).__name__} cannot travel")


def _is_open_file(kind: type) -> bool:
    return issubclass(kind, io.IOBase) and not issubclass(kind, (io.StringIO, io.BytesIO))


register(lambda kind: kind in _ODDITIES, _refuse)
register(_is_open_file, _refuse_file)
register(lambda kind: kind is type(cache(int)), _reduce_cached)
register(lambda kind: kind is CellType, lambda cell, _: reduce_cell(cell))
register(tensors.is_tensor_type, tensors.reduce_tensor)
register(strings.is_array_type, strings.reduce_string_array)
