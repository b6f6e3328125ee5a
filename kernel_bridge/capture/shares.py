"""What was last exchanged with the other side: which names went as one unit, and what they were bound to then."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from kernel_bridge.capture.identities import Anchor, Identities, anchor
from kernel_bridge.capture.walk import Survey

# Compared by value instead of being pickled again; floats are not among them because 0.0 == -0.0.
SCALARS: Final = frozenset({int, str, bytes, bool, type(None)})


@dataclass(slots=True)
class Shared:
    """A unit as it was last exchanged."""

    names: tuple[str, ...]
    fingerprint: str | None  # None: what the other side holds is out of date
    ids: frozenset[int]
    tokens: array[int]
    anchors: dict[str, Anchor]


class Shares:
    """The units of one namespace that the other side holds, up to date or not, by their names."""

    def __init__(self, namespace: Mapping[str, Any], identities: Identities) -> None:
        self._namespace = namespace
        self._identities = identities
        self._by_name: dict[str, Shared] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def get(self, name: str) -> Shared | None:
        """Return the unit that a name went in."""
        return self._by_name.get(name)

    def units_of(self, names: Iterable[str]) -> list[Shared]:
        """Return the units of those of these names that were exchanged, each once."""
        found = (self._by_name[name] for name in names if name in self._by_name)
        return list({id(unit): unit for unit in found}.values())

    def touching(self, ids: Iterable[int]) -> list[Shared]:
        """Return the units that hold any of these objects, by identity."""
        wanted = frozenset(ids)
        return [unit for unit in self.units_of(self._by_name) if not unit.ids.isdisjoint(wanted)]

    def whole(self, names: tuple[str, ...]) -> Shared | None:
        """Return the unit of exactly these names, in whatever order."""
        unit = self._by_name.get(names[0])
        return unit if unit is not None and frozenset(unit.names) == frozenset(names) else None

    def is_anchored(self, name: str, unit: Shared) -> bool:
        """Tell whether a name is bound to the very object it was exchanged with."""
        held = unit.anchors.get(name, _gone)()
        return held is not GONE and name in self._namespace and self._namespace[name] is held

    def is_same_scalar(self, name: str) -> bool:
        """Tell whether a name was exchanged and is bound to an equal value of a kind that cannot change."""
        unit = self._by_name.get(name)
        if unit is None or unit.fingerprint is None:
            return False
        value, held = self._namespace[name], unit.anchors.get(name, _gone)()
        kind = type(value)
        if kind is ModuleType or kind is float:
            return value is held
        return kind in SCALARS and type(held) is kind and bool(value == held)

    def stale(self) -> frozenset[str]:
        """Return the names that are bound to another object now, or to none, and let go of what none is bound to."""
        found = frozenset(name for name, unit in self._by_name.items() if not self.is_anchored(name, unit))
        for name in found:
            self._by_name[name].anchors[name] = _gone
        for unit in self.units_of(found):
            if found.issuperset(unit.names) and unit.tokens:
                self._identities.release(unit.tokens)
                unit.tokens, unit.ids, unit.fingerprint = array("Q"), frozenset(), None
        return found

    def record(
        self, names: tuple[str, ...], surveys: Mapping[str, Survey], tokens: array[int], mark: str | None
    ) -> None:
        """Take note that these names went as one unit, with this fingerprint, as they are bound now."""
        self._identities.retain(tokens)
        self.replace(names)
        ids = frozenset().union(*(surveys[name].ids for name in names))
        anchors = {name: anchor(self._namespace[name]) for name in names}
        self._by_name |= dict.fromkeys(names, Shared(names, mark, ids, tokens, anchors))

    def replace(self, names: Iterable[str]) -> None:
        """Take names out of their units; what is left of a unit stays known but counts as out of date."""
        for name in names:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Take one name out of its unit, and forget a unit that has no other."""
        unit = self._by_name.pop(name, None)
        if unit is None:
            return
        unit.names = tuple(other for other in unit.names if other != name)
        unit.anchors.pop(name, None)
        unit.fingerprint = None
        if not unit.names:
            self._identities.release(unit.tokens)


class _Gone:
    """What an anchor gives for a name that is bound to nothing it was bound to."""


GONE: Final = _Gone()


def _gone() -> object:
    return GONE
