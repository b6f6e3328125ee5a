"""How the notebook's functions travel: by value, with the receiver's namespace as their globals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any

Reduced = tuple[Any, ...]

_EMPTY = "empty"
_STATE = ("__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__", "__annotations__")


def is_notebook_function(function: FunctionType, namespace: Mapping[str, Any]) -> bool:
    """Whether a function was written in the notebook, so that its globals are the namespace."""
    return function.__globals__ is namespace or function.__module__ == "__main__"


def reduce_function(function: FunctionType, namespace: Mapping[str, Any]) -> Reduced:
    """Return the reduction of a notebook function; the namespace itself travels as a reference."""
    made = (function.__code__, namespace, function.__name__, function.__closure__)
    state = {name: getattr(function, name) for name in _STATE}
    parameters = getattr(function, "__type_params__", ())
    if parameters:
        state["__type_params__"] = parameters
    return make_function, made, (state, function.__dict__), None, None, set_function_state


def reduce_cell(cell: CellType) -> Reduced:
    """Return the reduction of a closure cell, so that functions that share one still share it."""
    return make_cell, (), cell_content(cell), None, None, set_cell


def reduce_cached(function: Any, namespace: Mapping[str, Any]) -> Any:
    """Return the reduction of a notebook function under `functools.lru_cache`; the cache starts empty over there."""
    inner = getattr(function, "__wrapped__", None)
    if not isinstance(inner, FunctionType) or not is_notebook_function(inner, namespace):
        return NotImplemented
    parameters = function.cache_parameters()
    return make_cached, (inner, parameters["maxsize"], parameters["typed"])


def make_cached(function: FunctionType, maxsize: int | None, typed: bool) -> Any:
    """Make a cached function."""
    return lru_cache(maxsize, typed)(function)


def make_function(
    code: CodeType, namespace: dict[str, Any], name: str, closure: tuple[CellType, ...] | None
) -> FunctionType:
    """Make a function whose globals are the receiver's namespace."""
    return FunctionType(code, namespace, name, None, closure)


def set_function_state(function: FunctionType, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a new function its defaults, documentation and attributes."""
    attributes, members = state
    for name, value in attributes.items():
        setattr(function, name, value)
    function.__dict__.update(members)


def make_cell() -> CellType:
    """Make an empty closure cell."""
    return CellType()


def cell_content(cell: CellType) -> tuple[str] | tuple[str, Any]:
    """Return what a cell holds as a state, told apart from an empty cell."""
    try:
        return ("holds", cell.cell_contents)
    except ValueError:
        return (_EMPTY,)


def set_cell(cell: CellType, state: tuple[Any, ...]) -> None:
    """Fill a cell from its state."""
    if state[0] == _EMPTY:
        del cell.cell_contents
    else:
        cell.cell_contents = state[1]
