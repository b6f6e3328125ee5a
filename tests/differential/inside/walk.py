"""Walk a namespace and write each object down in a line: `path = what it is`, aliases by where they were first seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.differential.inside import libraries, plain
from tests.differential.inside.shape import ATOMS, Describe, Members, Place, Said, Shape, Stretch, atom, type_name

_MOST_LINES: Final = 200_000
_LONG_PATH: Final = 240
_DESCRIBED: Final[dict[str, Describe]] = plain.DESCRIBED | libraries.DESCRIBED

Line = tuple[str, str]


def structure(names: Iterable[str], namespace: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, list[Line]]:
    """Return the lines of each name, then of what is added under names of our own.

    Names are visited in the order of the alphabet, so that aliases are told alike.
    """
    walk = _Walk(namespace)
    found = {name: walk.lines_of(name, namespace[name]) for name in sorted(names)}
    found |= {name: walk.lines_of(name, value) for name, value in added.items()}
    walk.tell_shared_memory(found)
    return found


class _Walk:
    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._seen: dict[int, str] = {}
        self._kept: list[Any] = []  # what was made for the walk must not lend its id to something else
        self._memory: dict[int, list[tuple[str, str, Place]]] = {}  # by owner: name and path of each that lies there

    def lines_of(self, name: str, value: Any) -> list[Line]:
        lines: list[Line] = []
        pending = [(name, value)]
        while pending:
            path, part = pending.pop()
            if len(lines) > _MOST_LINES:
                lines.append((path, "more than is looked at"))
                break
            shape = self._shape(path, part)
            lines.append((path, shape.text))
            if shape.memory is not None:
                self._memory.setdefault(shape.memory.key, []).append((name, path, shape.memory))
            pending += [(_joined(path, suffix), inner) for suffix, inner in reversed(shape.parts)]
        return lines

    def tell_shared_memory(self, found: dict[str, list[Line]]) -> None:
        """Add, where arrays or tensors lie in the same memory, with whom and how each of them lies there."""
        for places in self._memory.values():
            for place in [place for place in places if any(_overlap(place, other) for other in places)]:
                name, path, at = place
                _, first, begin = next(other for other in places if other is place or _overlap(place, other))
                found[name].append((f"{path} memory", f"shared with {first}: {at.start - begin.start:+}, {at.how}"))

    def _shape(self, path: str, value: Any) -> Shape:
        if type(value) in ATOMS:
            return Shape(atom(value))
        if isinstance(value, Said | Stretch):
            return Shape(value.text)
        if isinstance(value, Members):
            return Shape(value.text, value.parts)
        if id(value) in self._seen:
            return Shape(f"is {self._seen[id(value)]}")
        if value is self._namespace:
            return Shape("the namespace")
        self._kept.append(value)
        return self._described(path, value)

    def _described(self, path: str, value: Any) -> Shape:
        shape = _describe(value, self._namespace)
        if not shape.alone:
            self._seen[id(value)] = path
        return shape


def _overlap(one: tuple[str, str, Place], other: tuple[str, str, Place]) -> bool:
    return one is not other and one[2].start < other[2].end and other[2].start < one[2].end


def _describe(value: Any, namespace: Mapping[str, Any]) -> Shape:
    kind = type(value)
    try:
        for base in kind.__mro__:
            describe = _DESCRIBED.get(type_name(base))
            if describe is not None:
                shape = describe(value)
                break
        else:
            shape = plain.instance(value)
        if kind in plain.FUNCTIONS:
            shape.parts.append((".__globals__", Said("the namespace" if value.__globals__ is namespace else "others")))
        if shape.attributes and not isinstance(value, type):
            shape.parts += plain.attributes(value)
    except Exception as error:  # noqa: BLE001 - a value that cannot be looked at is told by that
        shape = Shape(f"{type_name(kind)}, which raised {type(error).__name__}: {error}")
    if not isinstance(value, type):
        shape.parts += plain.class_of(value)
    return shape


def _joined(path: str, suffix: str) -> str:
    """Append to a path; a very long one keeps its beginning and its end, so that deep values stay cheap."""
    joined = path + suffix
    return joined if len(joined) <= _LONG_PATH else f"{joined[: _LONG_PATH // 2]}...{joined[-_LONG_PATH // 3 :]}"
