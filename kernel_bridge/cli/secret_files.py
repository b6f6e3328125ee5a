"""Variables of a secret from files: `.env` as programs write it, or a JSON object. No error repeats a value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadOption, NotFound

FILE_LIMIT_BYTES: Final = 1 << 20

# One assignment. A value in double quotes knows escapes, one in single quotes nothing, a bare one ends at ` #`.
_ASSIGNMENT: Final = re.compile(
    r"""
    [^\S\n]* (?:export[^\S\n]+)? (?P<key>[A-Za-z_][A-Za-z0-9_]*) [^\S\n]* = [^\S\n]*
    (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)' | (?P<bare>[^\n'"\#][^\n]*)? )
    [^\S\n]* (?:\#[^\n]*)? (?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_EMPTY: Final = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def from_dotenv(path: Path) -> dict[str, str]:
    """Return the variables of a `.env` file, a later one in the place of an earlier; raises NotFound or BadOption."""
    text, values, at = _text(path), dict[str, str](), 0
    while at < len(text):
        if (empty := _EMPTY.match(text, at)) is not None:
            at = empty.end()
            continue
        found = _ASSIGNMENT.match(text, at)
        if found is None:
            raise BadOption(
                f"{path}, line {text.count(chr(10), 0, at) + 1}: write `KEY=VALUE`, the value quoted or not."
            )
        values[found["key"]] = _value(found)
        at = found.end()
    return values


def from_json(path: Path) -> dict[str, str]:
    """Return the variables of a JSON object of texts; raises NotFound or BadOption."""
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError):
        raise BadOption(f"{path} is not JSON.") from None
    if not isinstance(found, dict):
        raise BadOption(f'{path} wants an object: {{"KEY": "VALUE"}}.')
    for key, value in found.items():
        if not isinstance(value, str):
            raise BadOption(f"{path}: the value of {key[:80]!r} is no text; write it in quotes.")
    return found


def _value(found: re.Match[str]) -> str:
    if found["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), found["double"], flags=re.DOTALL)
    if found["single"] is not None:
        return found["single"]
    return _COMMENT.sub("", found["bare"] or "").strip()


def _text(path: Path) -> str:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    if path.stat().st_size > FILE_LIMIT_BYTES:
        raise BadOption(f"{path} has more than {FILE_LIMIT_BYTES >> 20} MiB: a secret's variables are smaller.")
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadOption(f"{path} is not UTF-8 text.") from None
