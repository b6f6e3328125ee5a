"""How functions travel by value: the notebook's, and those that a library made of them while it ran.

The notebook's get the receiver's namespace as their globals. What a library's decorator returned has the library's
globals and only bears the name of what it wraps, so it gets the receiver's copy of that module.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from types import CellType, CodeType, FunctionType
from typing import Any, Final
from weakref import ref

Reduced = tuple[Any, ...]

_EMPTY: Final = "empty"
_WEAK: Final = "weak"
_MAIN: Final = "__main__"
_STATE: Final = ("__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__", "__annotations__")


def is_notebook_function(function: FunctionType, namespace: Mapping[str, Any]) -> bool:
    """Whether a function was written in the notebook, so that its globals are the namespace."""
    # Not by `__module__`: decorators of libraries, attrs and `%run` make functions that bear the notebook's and have
    # globals of their own.
    return function.__globals__ is namespace


def is_made_by_library(function: FunctionType) -> bool:
    """Whether a module's code made this function while it ran, so that it cannot be found there by its name."""
    module = sys.modules.get(str(function.__globals__.get("__name__")))
    if module is None or vars(module) is not function.__globals__ or getattr(module, "__spec__", None) is None:
        return False
    return function.__module__ == _MAIN or "<locals>" in function.__qualname__ or _named(function) is not function


def has_own_globals(function: FunctionType) -> bool:
    """Whether a function's globals are a dict of the notebook's that `exec` ran code in: the two travel together."""
    return "__name__" not in function.__globals__


def travels_by_value(function: FunctionType, namespace: Mapping[str, Any]) -> bool:
    """Whether a function travels with all it holds, rather than as a name."""
    if is_notebook_function(function, namespace) or is_made_by_library(function):
        return True
    module = sys.modules.get(str(function.__globals__.get("__name__")))
    return module is None or vars(module) is not function.__globals__


def reduce_function(function: FunctionType, namespace: Mapping[str, Any]) -> Reduced:
    """Return the reduction of a notebook function; the namespace itself travels as a reference."""
    made = (function.__code__, namespace, function.__name__, function.__closure__)
    return make_function, made, _state(function), None, None, set_function_state


def reduce_library_function(function: FunctionType) -> Reduced:
    """Return the reduction of a function that a library made: its globals are found again by the module's name."""
    made = (function.__code__, function.__globals__["__name__"], function.__name__, function.__closure__)
    return make_library_function, made, _state(function), None, None, set_function_state


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


def make_library_function(code: CodeType, module: str, name: str, closure: tuple[CellType, ...] | None) -> FunctionType:
    """Make a function whose globals are the receiver's module of that name; raises ImportError."""
    return FunctionType(code, vars(import_module(module)), name, None, closure)


def set_function_state(function: FunctionType, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a new function its defaults, documentation and attributes."""
    attributes, members = state
    for name, value in attributes.items():
        setattr(function, name, value)
    function.__dict__.update(members)


def builtins_here() -> dict[str, Any]:
    """Return this side's builtins: what a namespace made by `exec` refers to."""
    return vars(builtins)


def make_cell() -> CellType:
    """Make an empty closure cell."""
    return CellType()


def cell_content(cell: CellType) -> tuple[str] | tuple[str, Any]:
    """Return what a cell holds as a state, told apart from an empty cell."""
    try:
        content = cell.cell_contents
    except ValueError:
        return (_EMPTY,)
    # By a weak reference a library's decorator knows its owner, which holds it: both are on their way.
    weak = type(content) is ref and content.__callback__ is None
    return (_WEAK, content()) if weak else ("holds", content)


def set_cell(cell: CellType, state: tuple[Any, ...]) -> None:
    """Fill a cell from its state."""
    if state[0] == _EMPTY:
        del cell.cell_contents
    else:
        cell.cell_contents = ref(state[1]) if state[0] == _WEAK and state[1] is not None else state[1]


def _state(function: FunctionType) -> tuple[dict[str, Any], dict[str, Any]]:
    state = {name: getattr(function, name) for name in _STATE}
    parameters = getattr(function, "__type_params__", ())
    if parameters:
        state["__type_params__"] = parameters
    return state, function.__dict__


def _named(function: FunctionType) -> object:
    found: object = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found
