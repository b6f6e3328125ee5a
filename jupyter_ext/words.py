"""A magic's line -> words: quotes and brackets hold together what belongs together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word and where it stands in the line."""

    text: str
    start: int
    end: int


def split_words(line: str) -> list[str]:
    """Return the words of a line."""
    return [token.text for token in split(line)]


def split(line: str) -> list[Token]:
    """Split a line at white space, except inside quotes and brackets; a list may go on after its comma."""
    tokens: list[Token] = []
    position = 0
    while position < len(line):
        if line[position].isspace():
            position += 1
            continue
        end = _token_end(line, position)
        tokens.append(Token(_unquote(line[position:end]), position, end))
        position = end
    return _join_lists(tokens)


def _token_end(line: str, start: int) -> int:
    closing: list[str] = []
    quote = ""
    for position in range(start, len(line)):
        character = line[position]
        if quote:
            quote = "" if character == quote and line[position - 1] != "\\" else quote
        elif character in "'\"":
            quote = character
        elif character in _PAIRS:
            closing.append(_PAIRS[character])
        elif closing and character == closing[-1]:
            closing.pop()
        elif character.isspace() and not closing:
            return position
    return len(line)


def _unquote(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text[0] not in text[1:-1]
    return text[1:-1] if quoted else text


def _join_lists(tokens: list[Token]) -> list[Token]:
    """Read `--in a, b` as one value: a token that ends with a comma goes on in the next."""
    joined: list[Token] = []
    for token in tokens:
        if joined and joined[-1].text.endswith(",") and not token.text.startswith("-"):
            last = joined.pop()
            token = Token(last.text + token.text, last.start, token.end)  # noqa: PLW2901 - the joined one replaces it
        joined.append(token)
    return joined
