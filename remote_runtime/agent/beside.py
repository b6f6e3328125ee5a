"""Which names that came home share something with a value that stayed: a cell that uses its handle may change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel_bridge.capture.mirror import Mirror

_FEW_OBJECTS: Final = 1000  # so many are looked through after each cell that uses the handle
_MOST_OBJECTS: Final = 100_000  # of a value with more, nothing is known


@dataclass(slots=True)
class _Stayed:
    """A value that stayed, as it was when it was last looked through; it is not held."""

    key: str
    ids: frozenset[int]  # of what can change inside it
    told: tuple[str, ...]  # the names the notebook was told of
    why: str


class Beside:
    """What the notebook is told of the values that stayed, by name."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._stayed: dict[str, _Stayed] = {}

    def note(self, name: str, key: str, value: Any, why: str) -> tuple[str, ...]:
        """Return the names the notebook holds, whose values share something with this one, which stays."""
        known = self._stayed.get(name)
        ids = known.ids if known is not None and known.key == key else self._mirror.ids_inside(value)
        ids = ids if len(ids) <= _MOST_OBJECTS else frozenset()
        told = self._mirror.names_touching(ids)
        self._stayed[name] = _Stayed(key, ids, told, why)
        return told

    def untold(self, used: Mapping[str, Any]) -> dict[str, str]:
        """Return of these values that stayed those that now share with other names than was told, and why they stay."""
        return {name: self._stayed[name].why for name, value in used.items() if self._is_untold(name, value)}

    def forget(self, name: str) -> None:
        """Let go of what is known of a name."""
        self._stayed.pop(name, None)

    def _is_untold(self, name: str, value: Any) -> bool:
        known = self._stayed.get(name)
        if known is None:
            return False
        if len(known.ids) <= _FEW_OBJECTS:
            known.ids |= self._mirror.ids_inside(value)
        return self._mirror.names_touching(known.ids) != known.told
