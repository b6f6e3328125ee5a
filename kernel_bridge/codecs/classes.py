"""How the notebook's classes travel: cloudpickle's way, with their slots, made once, without calling the user's code.

cloudpickle makes a class by calling its metaclass, which runs the `__new__` and `__init_subclass__` of the notebook
once more on the other side: a class would be registered twice. Here a class known by its id is taken as it is, and a
new one is made by the nearest metaclass that is not the notebook's. An attribute that was deleted from a class is told
of, and the members of an enumeration keep what their `__init__` or a cell gave them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

from cloudpickle import cloudpickle

_SKELETON: Final = "_make_skeleton_class"
_ENUM_SKELETON: Final = "_make_skeleton_enum"
_MAIN: Final = "__main__"

# The attributes each class has had when it travelled: those it has no more were deleted here, or on the other side.
_KNOWN: Final[WeakKeyDictionary[type, set[str]]] = WeakKeyDictionary()


def by_value(kind: type, reduced: Any) -> Any:
    """Return how a class travels, given what cloudpickle says about it."""
    made_by = getattr(reduced[0], "__name__", "") if isinstance(reduced, tuple) else ""
    if made_by == _ENUM_SKELETON:
        return _with_members(kind, reduced)
    if made_by != _SKELETON:
        return reduced
    _, (meta, name, bases, members, *rest), state, *items, _ = reduced
    gone = tuple(sorted(_noted(kind).difference(vars(kind))))
    return make_class, (meta, name, bases, members | _slots(kind), *rest), (state, gone), *items, set_class


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


def set_class(kind: type, state: tuple[Any, tuple[str, ...]]) -> type:
    """Give a class its attributes, and take away those that were deleted where it comes from."""
    attributes, gone = state
    for name in gone:
        if name in vars(kind):
            type.__delattr__(kind, name)
    cloudpickle._class_setstate(kind, attributes)
    _noted(kind)
    return kind


def set_enum(kind: Any, state: tuple[Any, dict[str, dict[str, Any]]]) -> type:
    """Give an enumeration its attributes, and its members theirs."""
    attributes, own = state
    cloudpickle._class_setstate(kind, attributes)
    for name, values in own.items():
        vars(kind.__members__[name]).update(values)
    return kind  # type: ignore[no-any-return]


def _noted(kind: type) -> set[str]:
    """Return the names of all attributes a class is known to have had, those of now included."""
    known = _KNOWN.setdefault(kind, set())
    known.update(name for name in vars(kind) if name[:2] != "__" and name != "_abc_impl")
    return known


def _with_members(kind: Any, reduced: Any) -> Any:
    """Give an enumeration its second names, a Flag its named combinations: cloudpickle sends one name a member.

    Nor does it send what the members have besides their value.
    """
    make, (bases, name, qualname, _, *rest), (members, slots), *items, _ = reduced
    known = {each: member.value for each, member in kind.__members__.items()}
    left = {each: value for each, value in members.items() if each not in known}
    own = {each: values for each, member in kind.__members__.items() if (values := _own_values(member))}
    return make, (bases, name, qualname, known, *rest), ((left, slots), own), *items, set_enum


def _own_values(member: Any) -> dict[str, Any]:
    """Return what a member has besides what makes it one."""
    return {name: value for name, value in vars(member).items() if not (name[:1] == "_" == name[-1:])}


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
