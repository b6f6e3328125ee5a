"""Group names into co-variables: names whose values share an object that can change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kernel_bridge.capture.walk import Survey


def components(names: Iterable[str], surveys: Mapping[str, Survey]) -> list[tuple[str, ...]]:
    """Return the names in groups that share objects, in the order of their first names."""
    leader: dict[str, str] = {}
    holder: dict[int, str] = {}
    for name in names:
        leader[name] = name
        for ident in surveys[name].ids:
            other = holder.setdefault(ident, name)
            if other is not name:
                leader[_lead(leader, name)] = _lead(leader, other)
    groups: dict[str, list[str]] = {}
    for name in leader:
        groups.setdefault(_lead(leader, name), []).append(name)
    return [tuple(group) for group in groups.values()]


def _lead(leader: dict[str, str], name: str) -> str:
    while leader[name] != name:
        leader[name] = leader[leader[name]]
        name = leader[name]
    return name
