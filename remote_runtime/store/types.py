"""Column types: JSON in text, so that SQLite and PostgreSQL hold the same, and values that come back as themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from sqlalchemy import Text as PlainText
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from kernel_bridge.protocol.wire import from_wire, to_wire


class Text(TypeDecorator[str]):
    """Text as every database can keep it: PostgreSQL takes no NUL, and none takes half a surrogate pair."""

    impl = PlainText
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Put the replacement character in the place of what cannot be kept."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


class AsText(TypeDecorator[Any]):
    """A value kept as text by one function and brought back by another; None stays NULL."""

    impl = PlainText
    cache_ok = True

    def __init__(self, dump: Callable[[Any], str], load: Callable[[str], Any]) -> None:
        super().__init__()
        self.dump = dump
        self.load = load

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Turn a value into what the column holds."""
        return None if value is None else self.dump(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Turn what the column holds into a value."""
        return None if value is None else self.load(value)


def plain() -> AsText:
    """Make a column of JSON values."""
    return AsText(_dump, json.loads)


def names() -> AsText:
    """Make a column of tuples of strings, in order."""
    return AsText(lambda value: _dump(list(value)), lambda text: tuple(json.loads(text)))


def wire(kind: type[Any]) -> AsText:
    """Make a column of frozen dataclasses, as their JSON on the wire."""
    return AsText(_dump, lambda text: from_wire(kind, json.loads(text)))


def word(kind: type[StrEnum]) -> AsText:
    """Make a column of a StrEnum's words; another word is refused on the way in."""
    return AsText(lambda value: str(kind(value)), kind)


def _dump(value: Any) -> str:
    return json.dumps(to_wire(value), sort_keys=True, separators=(",", ":"))
