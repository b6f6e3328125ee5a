"""Striking values out of text, whole and in pieces."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from remote_runtime.secrets.redact import MASK, SHORTEST, Redactor

# Few letters, so that values overlap each other and themselves.
VALUES = st.lists(st.text("ab", min_size=SHORTEST, max_size=9), max_size=4)
PIECES = st.lists(st.text("abc", max_size=12), max_size=12)


@given(VALUES, PIECES)
def test_pieces_are_struck_like_the_whole(values: list[str], pieces: list[str]) -> None:
    """However a text is cut, the same comes out, and no value is in it."""
    redactor = Redactor(values)
    stream = redactor.stream()
    out = "".join([*map(stream.feed, pieces), stream.flush()])
    assert out == redactor.strike("".join(pieces))
    assert not any(value in out for value in values)


@given(st.text("xyz \n", max_size=40), st.text(min_size=SHORTEST, max_size=30), st.integers(0, 30))
def test_a_value_split_across_pieces_is_struck(around: str, value: str, at: int) -> None:
    """Any value, cut anywhere."""
    stream = Redactor([value]).stream()
    out = stream.feed(around + value[:at]) + stream.feed(value[at:] + around) + stream.flush()
    assert value not in out.replace(MASK, "")


def test_text_without_values_is_not_held_back() -> None:
    """Output is shown as it comes; only what may become a value waits."""
    stream = Redactor(["secret-value"]).stream()
    assert stream.feed("epoch 1\n") == "epoch 1\n"
    assert stream.feed("the sec") == "the "
    assert stream.feed("ond\n") == "second\n"
    assert stream.flush() == ""


def test_other_spellings_are_struck() -> None:
    """JSON and URLs write a value differently, and a private key is printed by its lines."""
    value = 'a"b/ü secret\nsecond line of it'
    redactor = Redactor([value])
    for text in (value, json.dumps(value), quote(value, safe=""), "second line of it"):
        out = redactor.strike(f"<{text}>")
        assert MASK in out and "secret" not in out and "second" not in out


def test_short_values_are_left() -> None:
    """Striking every `1` would spoil the output and hide nothing."""
    assert Redactor(["1", "true", ""]).strike("1 is true") == "1 is true"


def test_no_values_strike_nothing() -> None:
    """A session without secrets pays nothing."""
    assert Redactor([]).strike("text") == "text"
    assert Redactor([]).stream().feed("text") == "text"
