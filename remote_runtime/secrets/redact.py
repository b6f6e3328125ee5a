"""Strike known values out of text, also when a value arrives in pieces. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

MASK: Final = "••••"
SHORTEST: Final = 6  # characters; striking `1` or `true` everywhere would spoil the text and hide nothing


class Redactor:
    """Strikes a set of values; of several that fit, the first and there the longest.

    A value is also known by its lines, and as JSON and URLs write it.
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if forms else None
        self._longest = max(map(len, forms), default=0)

    def strike(self, text: str) -> str:
        """Return the text without the values."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def stream(self) -> RedactedStream:
        """Begin a text that arrives in pieces."""
        return RedactedStream(self)

    def cut(self, text: str) -> int:
        """Return up to where the text is certain: what follows could be the beginning of a value."""
        position = 0
        hold = self._hold(text, position)
        for match in self._pattern.finditer(text) if self._pattern else ():
            if hold is not None and hold <= match.start():
                break
            position = match.end()
            if hold is not None and hold < position:
                hold = self._hold(text, position)
        return len(text) if hold is None else hold

    def _hold(self, text: str, start: int) -> int | None:
        """Return the first position from `start` on at which the rest of the text is the beginning of a value."""
        for position in range(max(start, len(text) - self._longest + 1), len(text)):
            head = text[position : position + SHORTEST]  # most positions are told apart by this, without a long copy
            if any(form.startswith(head) for form in self._forms) and self._continues(text[position:]):
                return position
        return None

    def _continues(self, rest: str) -> bool:
        return any(len(form) > len(rest) and form.startswith(rest) for form in self._forms)


class RedactedStream:
    """One text in pieces. All that was fed, struck at once, is what all that is returned joins to."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece; return what is certain by now."""
        text = self._held + piece
        cut = self._redactor.cut(text)
        self._held = text[cut:]
        return self._redactor.strike(text[:cut])

    def flush(self) -> str:
        """Return what was held back, as no more comes soon: at the end, or before a pause."""
        held, self._held = self._held, ""
        return self._redactor.strike(held)


def _forms(value: str) -> Iterable[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield from (line.strip() for line in value.splitlines())
