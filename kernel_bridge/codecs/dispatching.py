"""How `functools.singledispatch` functions travel: as their implementations, without the cache of weak references."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

Reduced = tuple[Any, ...]


def is_dispatcher(function: FunctionType) -> bool:
    """Whether a function chooses among implementations by the type of its first argument."""
    return (
        function.__globals__ is vars(functools) and "registry" in function.__dict__ and "dispatch" in function.__dict__
    )


def implementations(function: Any) -> dict[type, Callable[..., Any]]:
    """Return what a dispatcher calls, by type."""
    return dict(function.registry)


def reduce_dispatcher(function: Any) -> Reduced:
    """Return the reduction of a dispatcher."""
    found = implementations(function)
    others = {kind: call for kind, call in found.items() if kind is not object}
    return make_dispatcher, (found[object],), others, None, None, register_all


def make_dispatcher(default: Callable[..., Any]) -> Any:
    """Make a dispatcher that has its default only."""
    return functools.singledispatch(default)


def register_all(function: Any, others: dict[type, Callable[..., Any]]) -> None:
    """Give a dispatcher its other implementations."""
    for kind, call in others.items():
        function.register(kind, call)
