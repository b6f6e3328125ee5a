"""Instances of the notebook's own dataclasses, named tuples and enums as plain data: the class's name, and its fields.

The class is the one that bears the name here; none arrives. No code of it runs: no `__init__`, no `__post_init__`.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Mapping
from types import MemberDescriptorType
from typing import Any, Final

from kernel_bridge.errors import CannotTravel

Reduced = tuple[Any, ...]
Names = Mapping[str, Any]

_NEVER: Final = ("__del__", "__getattribute__")


def reduce(value: Any, names: Names) -> Reduced | None:
    """Take an instance of one of the notebook's classes apart; None when it is none of these."""
    kind = type(value)
    if kind.__module__ != "__main__" or names.get(kind.__qualname__) is not kind:
        return None
    if isinstance(value, enum.Enum):
        return "enum", (kind.__qualname__, value.name)
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return "dataclass", (kind.__qualname__, fields)
    return ("named_tuple", (kind.__qualname__, tuple(value))) if _is_named_tuple(kind) else None


def _build_enum(names: Names, state: Any) -> Any:
    kind, member = _class_of(names, state[0]), state[1]
    if not issubclass(kind, enum.Enum):
        raise CannotTravel(f"{kind.__qualname__} is no enum here")
    return kind.__members__[member]


def _build_dataclass(names: Names, state: Any) -> Any:
    kind, values = _class_of(names, state[0]), state[1]
    if not dataclasses.is_dataclass(kind) or not _is_harmless(kind):
        raise CannotTravel(f"{kind.__qualname__} is no dataclass here, or runs code of its own when it is let go")
    if type(values) is not dict or values.keys() != {field.name for field in dataclasses.fields(kind)}:
        raise CannotTravel(f"{kind.__qualname__} has other fields here")
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _build_named_tuple(names: Names, state: Any) -> Any:
    kind, values = _class_of(names, state[0]), state[1]
    if not _is_named_tuple(kind) or type(values) is not tuple or len(values) != len(kind._fields):  # type: ignore[attr-defined]
        raise CannotTravel(f"{kind.__qualname__} is no named tuple of these fields here")
    return tuple.__new__(kind, values)


def _class_of(names: Names, name: Any) -> type:
    kind = names.get(name) if type(name) is str else None
    if not isinstance(kind, type) or kind.__module__ != "__main__":
        raise CannotTravel(f"the class {name!r:.80} is not known here: define it in a cell that runs here")
    return kind


def _is_named_tuple(kind: type) -> bool:
    return kind.__bases__ == (tuple,) and hasattr(kind, "_fields") and not any(name in vars(kind) for name in _NEVER)


def _is_harmless(kind: type) -> bool:
    """Whether making an instance, and letting it go, runs nothing of the class."""
    own = [base for base in kind.__mro__ if base is not object]
    if any(name in vars(base) for base in own for name in _NEVER):
        return False
    return all(_is_plain(inspect.getattr_static(kind, field.name, None)) for field in dataclasses.fields(kind))


def _is_plain(member: Any) -> bool:
    return type(member) is MemberDescriptorType or not hasattr(type(member), "__set__")


CONSTRUCTORS: Final[dict[str, Callable[[Names, Any], Any]]] = {
    "enum": _build_enum,
    "dataclass": _build_dataclass,
    "named_tuple": _build_named_tuple,
}
