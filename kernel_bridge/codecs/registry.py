"""The ordered table of reducers: which types have a codec of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from re import Match
from types import CellType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from kernel_bridge.codecs import (
    array_classes,
    exceptions,
    generators,
    locks,
    loggers,
    optimizers,
    remade,
    strings,
    tensors,
)
from kernel_bridge.codecs.functions import reduce_cached, reduce_cell
from kernel_bridge.codecs.kinds import StaysHere, kind_of_type

if TYPE_CHECKING:
    from kernel_bridge.codecs.pickler import NotebookPickler

Reducer = Callable[[Any, "NotebookPickler"], Any]

# The first reducer whose predicate accepts a type wins; it may still answer NotImplemented for one value.
REDUCERS: Final[list[tuple[Callable[[type], bool], Reducer]]] = []

_BY_TYPE: Final[dict[type, Reducer | None]] = {}


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


def _reduce_cached(function: Any, pickler: NotebookPickler) -> Any:
    return reduce_cached(function, pickler.namespace)


def _refuse(value: object, _: NotebookPickler) -> Any:
    """Refuse also what cloudpickle would send as something else: it reads a whole file and makes a StringIO of it."""
    raise StaysHere(kind_of_type(type(value)) or type(value).__name__)


def _reduce_stream(value: Any, pickler: NotebookPickler) -> Any:
    reduced = remade.reduce_closed_file(value) if remade.is_closed_file(value) else loggers.reduce_stream(value)
    refused = reduced is NotImplemented and kind_of_type(type(value)) is not None
    return _refuse(value, pickler) if refused else reduced


register(remade.is_sentinel_type, lambda value, _: remade.reduce_sentinel(value))
register(remade.is_plot_type, lambda figure, _: remade.reduce_plot(figure))
register(exceptions.is_exception_type, lambda error, _: exceptions.reduce_exception(error))
register(lambda kind: kind_of_type(kind) is not None, _refuse)
register(lambda kind: kind is Match, lambda found, _: remade.reduce_match(found))
register(loggers.is_stream_type, _reduce_stream)
register(lambda kind: issubclass(kind, logging.Logger), lambda logger, _: loggers.reduce_logger(logger))
register(lambda kind: issubclass(kind, logging.Handler), lambda handler, _: loggers.reduce_handler(handler))
register(lambda kind: kind is ModuleType, lambda module, _: loggers.reduce_module(module))
register(generators.is_generator_type, lambda value, _: generators.reduce_generator(value))
register(optimizers.is_optimizer_type, lambda value, _: optimizers.reduce_optimizer(value))
register(locks.is_lock_type, lambda lock, _: locks.reduce_lock(lock))
register(lambda kind: kind is type(cache(int)), _reduce_cached)
register(lambda kind: kind is CellType, lambda cell, _: reduce_cell(cell))
register(tensors.is_tensor_type, tensors.reduce_tensor)
register(array_classes.is_array_class, array_classes.reduce_array_class)
register(strings.is_array_type, strings.reduce_string_array)
