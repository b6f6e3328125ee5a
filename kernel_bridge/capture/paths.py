"""Which texts of a cell, and of the values it uses, may name files: for readers that no hook sees opening them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Final

_BETWEEN: Final = re.compile(r"[\s'\"()=,;|<>&`$]+")
_PATTERN: Final = re.compile(r"[*?\[{]")
_NAMES_A_FILE: Final = re.compile(r"/|\.\w{1,8}\Z")
_SUFFIX: Final = re.compile(r"\.\w{1,8}\Z")
_MOST_CHARS: Final = 4096
_MOST_WORDS: Final = 64
_MOST_ITEMS: Final = 200


def path_words(text: str) -> tuple[str, ...]:
    """Return the parts of a command, a query or a pattern that may name a file, or the folder a pattern looks into."""
    words = dict.fromkeys(word for word in _BETWEEN.split(text[:_MOST_CHARS]) if _NAMES_A_FILE.search(word))
    found = (_before_pattern(word) for word in words if "://" not in word)
    return tuple(dict.fromkeys(found))[:_MOST_WORDS]


def paths_in(value: object) -> Iterator[str]:
    """Yield the texts and paths that a value is, or holds one level below."""
    if isinstance(value, Mapping):
        value = list(value.values())[:_MOST_ITEMS]
    elif not isinstance(value, str | PurePath | list | tuple | set):
        fields = getattr(value, "__dict__", None)
        value = list(fields.values())[:_MOST_ITEMS] if type(fields) is dict and len(fields) <= _MOST_ITEMS else ()
    for part in (value,) if isinstance(value, str | PurePath) else tuple(value)[:_MOST_ITEMS]:
        if isinstance(part, PurePath) or (isinstance(part, str) and 0 < len(part) <= _MOST_CHARS and "\n" not in part):
            yield str(part)


def _before_pattern(word: str) -> str:
    if _SUFFIX.match(word):  # of a name that is put together: any file
        return "."
    found = _PATTERN.search(word)
    return word if found is None else word[: found.start()].rpartition("/")[0] or "."
