"""How the notebook's classes travel: cloudpickle's way, with their slots, made once, without calling the user's code.

cloudpickle makes a class by calling its metaclass, which runs the `__new__` and `__init_subclass__` of the notebook
once more on the other side: a class would be registered twice. Here a class known by its id is taken as it is, and a
new one is made by the nearest metaclass that is not the notebook's.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cloudpickle import cloudpickle

_SKELETON: Final = "_make_skeleton_class"
_ENUM_SKELETON: Final = "_make_skeleton_enum"
_MAIN: Final = "__main__"


def by_value(kind: type, reduced: Any) -> Any:
    """Return how a class travels, given what cloudpickle says about it."""
    made_by = getattr(reduced[0], "__name__", "") if isinstance(reduced, tuple) else ""
    if made_by == _ENUM_SKELETON:
        return _with_aliases(kind, reduced)
    if made_by != _SKELETON:
        return reduced
    _, (meta, name, bases, members, *rest), *state = reduced
    return make_class, (meta, name, bases, members | _slots(kind), *rest), *state


def make_class(
    meta: type, name: str, bases: tuple[Any, ...], members: dict[str, Any], class_id: str | None, _extra: object
) -> type:
    """Return the class of this id, made without members where it is not known here yet."""
    known = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(class_id)
    if known is not None:
        if known.__bases__ != bases and "__orig_bases__" not in vars(known):
            known.__bases__ = bases
        return known  # type: ignore[no-any-return]
    members = {sys.intern(key): value for key, value in members.items()}
    made = _made_quietly(meta, name, bases, members)
    return cloudpickle._lookup_class_or_track(class_id, made)  # type: ignore[no-any-return]


def _with_aliases(kind: Any, reduced: Any) -> Any:
    """Give an enumeration its second names, a Flag its named combinations: cloudpickle sends one name a member."""
    make, (bases, name, qualname, _, *rest), (members, slots), *more = reduced
    known = {each: member.value for each, member in kind.__members__.items()}
    left = {each: value for each, value in members.items() if each not in known}
    return make, (bases, name, qualname, known, *rest), (left, slots), *more


def _slots(kind: type) -> dict[str, Any]:
    """Return the slots of a class: cloudpickle sets them on the finished class, where they have no effect."""
    slots = kind.__dict__.get("__slots__")
    # typing.NamedTuple gives its classes their slots itself and refuses them from outside.
    return {} if slots is None or issubclass(kind, tuple) else {"__slots__": slots}


def _made_quietly(meta: type, name: str, bases: tuple[Any, ...], members: dict[str, Any]) -> type:
    with _silenced(next((found for base in bases if (found := _hook_owner(base)) is not None), None)):
        if meta.__module__ != _MAIN:
            return types.new_class(name, bases, {"metaclass": meta}, lambda namespace: namespace.update(members))
        maker: Any = next(each for each in meta.__mro__ if each.__module__ != _MAIN)
        resolved = types.resolve_bases(bases)
        if resolved is not bases:
            members = members | {"__orig_bases__": bases}
        made: type = maker.__new__(meta, name, resolved, members)
        return made


def _hook_owner(base: Any) -> type | None:
    """Return the notebook's class whose `__init_subclass__` a subclass of `base` would call."""
    owner = next((each for each in getattr(base, "__mro__", ()) if "__init_subclass__" in vars(each)), object)
    return owner if owner.__module__ == _MAIN else None


@contextmanager
def _silenced(owner: type | None) -> Iterator[None]:
    if owner is None:
        yield
        return
    hook = vars(owner)["__init_subclass__"]
    type.__setattr__(owner, "__init_subclass__", classmethod(lambda _cls, **_options: None))
    try:
        yield
    finally:
        type.__setattr__(owner, "__init_subclass__", hook)
