"""Strike known values out of text, also when a value arrives in pieces. Pure.

A value is known in every spelling that tools give it without being asked: as it is, line by line, base64 at any
alignment, hexadecimal, and as JSON, Python, HTML and URLs write it. This keeps a value from being shown by accident;
whoever means to show one can reverse it, and no filter would notice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from kernel_bridge.protocol.spellings import SHORTEST, Spelling, spellings

TOKEN_MASK: Final = "cb_***"  # noqa: S105 - what stands in its place
_TOKEN: Final = r"cb_[A-Za-z0-9_-]{43}"  # noqa: S105 - the form of our tokens
_TOKEN_SIGN: Final = "cb_"  # noqa: S105 - how they begin
_TOKEN_START: Final = re.compile(r"cb_[A-Za-z0-9_-]{0,42}\Z")
_TOKEN_CHARS: Final = 46
_TELLING_CHARS: Final = 16  # so much of a value's beginning, or half of it, is struck as if it were the value


def mask(key: str) -> str:
    """Return what is shown in place of the value of a variable."""
    return f"***{key}***"


@dataclass(frozen=True, slots=True)
class Found:
    """A value in a text: where, and whose it is in which spelling (no name: of one of our tokens)."""

    start: int
    end: int
    spelling: Spelling


_OUR_TOKEN: Final = Spelling("", "")


class Redactor:
    """Strikes the values of variables, and Cellburst's tokens; of several that fit, the first and there the longest.

    Values of fewer than SHORTEST characters are left: striking every `1` or `true` would spoil a text and hide nothing.
    """

    def __init__(self, values: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        self._known: dict[str, Spelling] = {}
        needles: list[str] = []
        for key, value in values.items() if isinstance(values, Mapping) else values:
            found = list(spellings(key, value))
            needles += _without_what_holds_another(
                sorted({text for text, _ in found}, key=lambda text: (len(text), text))
            )
            for text, spelling in found:
                self._known.setdefault(text, spelling)  # the first has a way back to the value
        self._longest = max(map(len, self._known), default=0)
        # A long spelling is found by the shorter one inside it, so few of them have to be looked for.
        self._needles = tuple(dict.fromkeys(needles))
        self._needles_in_json = tuple(json.dumps(text)[1:-1].encode() for text in (_TOKEN_SIGN, *self._needles))
        self._needles_in_bytes = {
            text.encode("utf-8", "surrogatepass"): self._known[text].key for text in self._needles
        }

    # What is only needed once something was found, or for text in pieces.

    @cached_property
    def _ordered(self) -> tuple[str, ...]:
        return tuple(sorted(self._known, key=lambda text: (-len(text), text)))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join([*map(re.escape, self._ordered), _TOKEN]))

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        return frozenset(text[:length] for text in self._known for length in range(1, SHORTEST))

    @cached_property
    def _by_head(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for text in self._ordered:
            found.setdefault(text[:SHORTEST], []).append(text)
        return found

    @cached_property
    def _heads(self) -> re.Pattern[str]:
        return re.compile(f"(?={'|'.join(map(re.escape, self._by_head))})")

    @property
    def has_values(self) -> bool:
        """Tell whether there is any value to strike besides our own tokens."""
        return bool(self._known)

    def strike(self, text: str) -> str:
        """Return the text without the values."""
        return self._pattern.sub(self._mask, text) if self._may_hold(text) else text

    def strike_all(self, value: Any) -> Any:
        """Return a JSON value whose texts, the keys of objects among them, are struck."""
        if isinstance(value, str):
            return self.strike(value)
        if isinstance(value, list | tuple):
            return [self.strike_all(item) for item in value]
        if isinstance(value, dict):
            return {self.strike_all(key): self.strike_all(item) for key, item in value.items()}
        return value

    def find(self, text: str) -> Iterator[Found]:
        """Yield the values in a text, from its beginning on."""
        for match in self._pattern.finditer(text) if self._may_hold(text) else ():
            yield Found(match.start(), match.end(), self._known.get(match[0], _OUR_TOKEN))

    def may_be_in_json(self, encoded: bytes) -> bool:
        """Tell whether a text inside this encoded JSON may hold a value or a token, without decoding it."""
        return any(needle in encoded for needle in self._needles_in_json)

    def held_in(self, data: bytes) -> frozenset[str]:
        """Return the variables whose values lie in these bytes as UTF-8, in any spelling."""
        return frozenset(key for needle, key in self._needles_in_bytes.items() if needle in data)

    def stream(self) -> RedactedStream:
        """Begin a text that arrives in pieces."""
        return RedactedStream(self)

    def cut(self, text: str) -> int:
        """Return up to where the text is certain: what follows could be the beginning of a value."""
        position = 0
        hold = self._hold(text, position)
        for found in self.find(text):
            if hold is not None and hold <= found.start:
                break
            position = found.end
            if hold is not None and hold < position:
                hold = self._hold(text, position)
        return len(text) if hold is None else hold

    def is_telling(self, beginning: str) -> bool:
        """Tell whether so much of a value's beginning should be struck like the value."""
        forms = self._by_head.get(beginning[:SHORTEST], ())
        return any(
            len(beginning) >= min(_TELLING_CHARS, len(form) / 2) and form.startswith(beginning) for form in forms
        ) or (len(beginning) >= _TELLING_CHARS and _TOKEN_START.match(beginning) is not None)

    def mask_of_beginning(self, beginning: str) -> str:
        """Return the mask of a value of which the text is a beginning."""
        form = next((form for form in self._by_head.get(beginning[:SHORTEST], ()) if form.startswith(beginning)), "")
        return self.mask_of(self._known.get(form, _OUR_TOKEN))

    @staticmethod
    def mask_of(spelling: Spelling) -> str:
        """Return what is shown in place of a value that was found."""
        return mask(spelling.key) if spelling.key else TOKEN_MASK

    def _mask(self, match: re.Match[str]) -> str:
        return self.mask_of(self._known.get(match[0], _OUR_TOKEN))

    def _may_hold(self, text: str) -> bool:
        return _TOKEN_SIGN in text or any(needle in text for needle in self._needles)

    def _hold(self, text: str, start: int) -> int | None:
        """Return the first position from `start` on at which the rest of the text is the beginning of a value."""
        found = (self._hold_value(text, start), _hold_token(text, start))
        return min((position for position in found if position is not None), default=None)

    def _hold_value(self, text: str, start: int) -> int | None:
        if not self._known:
            return None
        for match in self._heads.finditer(text, max(start, len(text) - self._longest + 1)):
            at = match.start()
            rest = text[at:]
            if any(len(form) > len(rest) and form.startswith(rest) for form in self._by_head[rest[:SHORTEST]]):
                return at
        short = range(max(start, len(text) - SHORTEST + 1), len(text))
        return next((at for at in short if text[at:] in self._beginnings), None)


class RedactedStream:
    """One text in pieces. All that was fed, struck at once, is what all that is returned joins to.

    Where something must be shown before that is certain (`release`, `flush`), a beginning is shown and its end struck.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""
        self._shown = 0  # so many characters of what is held were written out already

    @property
    def holds(self) -> bool:
        """Tell whether something waits to be written out."""
        return len(self._held) > self._shown

    def feed(self, piece: str) -> str:
        """Take a piece; return what is certain by now."""
        if not self._held and not self._redactor.has_values and _TOKEN_SIGN not in piece:
            return piece
        text = self._held + piece
        cut = self._redactor.cut(text)
        out = self._struck(text, cut)
        self._held, self._shown = text[cut:], max(0, self._shown - cut)
        return out

    def release(self) -> str:
        """Return what was held back, as no more comes soon; but not what is much of a value already."""
        return "" if self._redactor.is_telling(self._held) else self.flush()

    def flush(self) -> str:
        """Return what was held back, as it ends here; much of a value is struck as if it were all of it."""
        if not self.holds:
            return ""
        shown, self._shown = self._shown, len(self._held)
        if self._redactor.is_telling(self._held):
            return self._redactor.mask_of_beginning(self._held)
        return self._held[shown:]

    def _struck(self, text: str, end: int) -> str:
        """Return the text up to `end`, struck, without what was shown before."""
        pieces, position = [], self._shown
        for found in self._redactor.find(text[:end]):
            if found.end > position:
                pieces += [text[position : found.start], self._redactor.mask_of(found.spelling)]
                position = found.end
        return "".join([*pieces, text[position:end]])


def _hold_token(text: str, start: int) -> int | None:
    # Only from `cb_` on: what is said without any secret must never wait because it ends in a `c`.
    at = text.find(_TOKEN_SIGN, max(start, len(text) - _TOKEN_CHARS + 1))
    while at >= 0:
        if _TOKEN_START.match(text, at):
            return at
        at = text.find(_TOKEN_SIGN, at + 1)
    return None


def _without_what_holds_another(shortest_first: list[str]) -> list[str]:
    kept: list[str] = []
    for text in shortest_first:
        if not any(needle in text for needle in kept):
            kept.append(text)
    return kept
