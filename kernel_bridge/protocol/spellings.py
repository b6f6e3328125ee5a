"""How tools write a value without being asked: the texts that give it away, each with the way back to it. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 8  # characters; also of a line and of a piece of base64
_LINE_CHARS: Final = 16  # of one line of a value: `}` and `"type": 1,` are everywhere
_WRAPPED_AT: Final = (76, 64)  # what `base64` and `openssl` print in one line
_ARMOUR: Final = re.compile(r"-{5}[A-Z0-9 ]+-{5}\Z")  # the first and last line of a key say nothing of it


@dataclass(frozen=True, slots=True)
class Spelling:
    """Whose value a text is, and how it is written; `way` is empty where only a part of the value is in it."""

    key: str
    way: str


def _base64(value: str) -> str:
    return base64.b64encode(_bytes(value)).decode()


def _base64_url(value: str) -> str:
    return base64.urlsafe_b64encode(_bytes(value)).decode()


# The whole value, each by the name under which it can be written anew from another value.
WAYS: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "stripped": str.strip,
    "base64": _base64,
    "base64 bare": lambda value: _base64(value).rstrip("="),
    "base64 url": _base64_url,
    "base64 url bare": lambda value: _base64_url(value).rstrip("="),
    "hex": lambda value: _bytes(value).hex(),
    "HEX": lambda value: _bytes(value).hex().upper(),
    "json": lambda value: json.dumps(value)[1:-1],
    "json unicode": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "repr": lambda value: repr(value)[1:-1],
    "ascii": lambda value: ascii(value)[1:-1],
    "html": html.escape,
    "html text": lambda value: html.escape(value, quote=False),
    "url": lambda value: quote(_bytes(value), safe=""),
    "url path": lambda value: quote(_bytes(value)),
    "url component": lambda value: quote(_bytes(value), safe="!'()*"),
    "form": lambda value: quote_plus(_bytes(value)),
}


def spellings(key: str, value: str) -> Iterator[tuple[str, Spelling]]:
    """Yield every text that gives a value away, none shorter than SHORTEST; the ones with a way back first."""
    if len(value.strip()) < SHORTEST:
        return
    for way, write in WAYS.items():
        text = write(value)
        # One that begins with a line's end would have every line wait for the next.
        if len(text) >= SHORTEST and not text[0].isspace():
            yield text, Spelling(key, way)
    part = Spelling(key, "")
    for text in (*_inside_base64(value), *_wrapped(_base64(value)), *_lines(value)):
        if len(text) >= SHORTEST:
            yield text, part


def _inside_base64(value: str) -> Iterator[str]:
    """Yield what base64 makes of a value in the middle of something else: three ways, after the bytes before it."""
    for before in range(3):
        raw = b"\0" * before + _bytes(value)
        start = -(-before * 8 // 6)  # a character that the bytes before have a part in is another each time
        end = len(raw) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(raw).decode()[start:end]


def _wrapped(text: str) -> Iterator[str]:
    for width in _WRAPPED_AT:
        if len(text) > width:
            yield from (text[start : start + width] for start in range(0, len(text), width))


def _lines(value: str) -> Iterator[str]:
    lines = [line.strip() for line in value.splitlines()]
    for line in lines if len(lines) > 1 else ():
        if len(line) >= _LINE_CHARS and not _ARMOUR.match(line):
            yield from (line, json.dumps(line)[1:-1], html.escape(line), quote(_bytes(line), safe=""))


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
