"""Objects that travel as a name instead of as data: values that stay on their side, and the handles for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from types import ModuleType
from typing import Any, Final
from weakref import WeakValueDictionary

from kernel_bridge.capture.handle import Fetch, Handle, HandleInfo, describe, handle_info
from kernel_bridge.errors import NotFound, RemoteValueError

_HANDLE: Final = "handle"
_INTERCHANGEABLE: Final = (int, float, complex, type(None), Enum, type, ModuleType)
_LONG: Final = 4096
_PLAIN: Final = frozenset({list, dict, set, frozenset, tuple, str, bytes, bytearray, int, float, complex})


@dataclass(frozen=True, slots=True)
class HandleRef:
    """A value that stays here, and what travels in its place."""

    key: str
    info: HandleInfo


class ReferenceTable:
    """The objects one side keeps, and the handles it holds for what the other side keeps.

    `session` names the session this side is (the remote side); the notebook's side has none. `place` is what handles
    say about where they live, as in `A100`. `fetch` is what a handle's `.fetch()` calls. `foreign` finds the value of
    a handle that belongs to another session.
    """

    def __init__(
        self,
        *,
        session: str = "",
        place: str | None = None,
        fetch: Fetch | None = None,
        foreign: Callable[[HandleInfo], object] | None = None,
    ) -> None:
        self._session = session
        self._place = place
        self._fetch = fetch
        self._foreign = foreign
        self._kept: dict[str, tuple[object, HandleInfo]] = {}
        self._by_id: dict[int, HandleInfo] = {}
        self._handles: WeakValueDictionary[tuple[str, str], Handle] = WeakValueDictionary()
        self._plain = 0

    @property
    def in_container(self) -> bool:
        """Whether this side is a session's container; else it is the notebook."""
        return bool(self._session)

    def keep(self, value: object, key: str, *, name: str = "", reason: str = "") -> HandleRef:
        """Let a value stay here: from now on it travels as a handle, until it is released."""
        if key in self._kept:
            self.release([key])
        info = describe(value, name=name or key, session=self._session, key=key, reason=reason)
        if self._place is not None:
            info = replace(info, device=self._place)
        self._kept[key] = (value, info)
        if _is_itself(value):
            self._by_id[id(value)] = info
        self._count_plain()
        return HandleRef(key, info)

    def release(self, keys: Iterable[str]) -> None:
        """Let go of kept values; unknown keys are ignored."""
        for key in keys:
            value, info = self._kept.pop(key, (None, None))
            if info is not None and self._by_id.get(id(value)) is info:
                del self._by_id[id(value)]
        self._count_plain()

    def resolve(self, key: str, name: str = "") -> object:
        """Return a kept value; `name` is what messages call it.

        Raises NotFound when nothing is kept under that key.
        """
        try:
            return self._kept[key][0]
        except KeyError:
            raise NotFound(f"this session no longer holds {name or key}; run the cell that made it again") from None

    def kept(self) -> dict[str, HandleInfo]:
        """Return what is kept here, by key."""
        return {key: info for key, (_, info) in self._kept.items()}

    def key_of(self, value: object) -> str | None:
        """Return the key a value is kept under, or None."""
        info = self._by_id.get(id(value))
        return None if info is None else info.key

    def holds(self, key: str, value: object) -> bool:
        """Whether this value is what is kept under a key."""
        return key in self._kept and self._kept[key][0] is value

    def handle(self, info: HandleInfo) -> Handle:
        """Return the handle for a value of the other side, the same one for as long as it is used."""
        found = self._handles.get((info.session, info.key))
        if found is None or handle_info(found) != info:
            found = Handle(info, self._fetch or _no_fetch)
            self._handles[info.session, info.key] = found
        return found

    def refer(self, value: object) -> tuple[str, dict[str, Any]] | None:
        """Return the name a value travels under, or None when it travels as data."""
        info = handle_info(value) if type(value) is Handle else self._by_id.get(id(value))
        return None if info is None else (_HANDLE, info.to_wire())

    def find(self, kind: str, details: dict[str, Any]) -> object:
        """Return this side's object for a name that travelled: the kept value, or a handle for the other side's.

        Raises NotFound for a value this session held and no longer holds.
        """
        if kind != _HANDLE:
            raise NotFound(f"a reference of kind {kind} is not known here; both sides need the same version")
        info = HandleInfo.from_wire(details)
        if info.session == self._session and (self._session or info.key in self._kept):
            return self.resolve(info.key, info.name)
        if self._foreign is not None:
            return self._foreign(info)
        return self.handle(info)

    def has_builtin_kinds(self) -> bool:
        """Whether a list, dict, str or the like is kept; the pickler must then ask about every object."""
        return self._plain > 0

    def _count_plain(self) -> None:
        self._plain = sum(type(value) in _PLAIN and _is_itself(value) for value, _ in self._kept.values())


def _is_itself(value: object) -> bool:
    """Whether a value can be told from its equals: a kept 5 must not make handles of all the fives there are."""
    kind = type(value)
    if kind in {str, bytes, tuple}:
        return len(value) > (0 if kind is tuple else _LONG)  # type: ignore[arg-type]
    return not issubclass(kind, _INTERCHANGEABLE)


def _no_fetch(info: HandleInfo) -> Any:
    raise RemoteValueError(f"{info.name} cannot be fetched here; use it in a %%gpu cell")
