"""What cloudpickle leaves out of the notebook's classes."""

from __future__ import annotations

from typing import Any

_SKELETON = "_make_skeleton_class"


def with_slots(kind: type, reduced: Any) -> Any:
    """Let a class that travels by value be made with its slots.

    cloudpickle sets `__slots__` on the finished class, where it has no effect: instances would get a `__dict__` on one
    side only, and their state would not fit on the way back.
    """
    slots = kind.__dict__.get("__slots__")
    if slots is None or not isinstance(reduced, tuple) or getattr(reduced[0], "__name__", "") != _SKELETON:
        return reduced
    if issubclass(kind, tuple):  # typing.NamedTuple gives its classes their slots itself and refuses them from outside
        return reduced
    make, (meta, name, bases, members, *rest), *state = reduced
    return make, (meta, name, bases, {**members, "__slots__": slots}, *rest), *state
