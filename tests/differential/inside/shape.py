"""What one object is, seen without what is inside it: a line of text, and the parts that are looked at next."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

ATOMS: Final = frozenset({int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented)})
_SHORT: Final = 200
_CHUNK: Final = 32


@dataclass(slots=True)
class Shape:
    """`parts` are (what is appended to the path, value). `alone`: whether there being two of it makes no difference."""

    text: str
    parts: list[tuple[str, Any]] = field(default_factory=list)
    alone: bool = False
    attributes: bool = True  # its `__dict__` and slots are looked at too
    memory: Place | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array lies: in whose memory, from which address (or element) to which, and how."""

    key: int
    owner: Any
    start: int
    end: int
    how: str


Describe = Callable[[Any], Shape]


def atom(value: object) -> str:
    """Write an atom out, a long one by its beginning and its hash."""
    text = repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}... ({len(text)} characters, {digest(text)})"


def digest(data: str | bytes | memoryview) -> str:
    """Return a short hash."""
    return hashlib.blake2b(
        data.encode("utf8", "surrogatepass") if isinstance(data, str) else data, digest_size=8
    ).hexdigest()


def type_name(kind: type) -> str:
    """Return a class's full name, without the module for builtins."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def belongs_to_a_library(value: Any) -> str:
    """Return where a function or class is found in an imported module; empty for what the notebook made."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return ""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return f"{module}.{name}" if found is value else ""


def items(values: Iterable[Any]) -> list[tuple[str, Any]]:
    """Return a sequence's parts; many atoms become few parts, each of which stands for a stretch of them."""
    found = list(values)
    if len(found) <= _CHUNK or not ATOMS.issuperset(map(type, found)):
        return [(f"[{index}]", value) for index, value in enumerate(found)]
    starts = range(0, len(found), _CHUNK)
    return [(f"[{start}:{start + _CHUNK}]", Stretch(found[start : start + _CHUNK])) for start in starts]


class Stretch:
    """Neighbours, written in one line."""

    def __init__(self, values: Any) -> None:
        self.text = " ".join(repr(value) if len(repr(value)) < 80 else digest(repr(value)) for value in values)


class Said:
    """A part that is a text already."""

    def __init__(self, text: object) -> None:
        self.text = str(text)


class Members:
    """A part whose own parts are these, where there is no object that has them."""

    def __init__(self, text: str, parts: list[tuple[str, Any]]) -> None:
        self.text = text
        self.parts = parts
