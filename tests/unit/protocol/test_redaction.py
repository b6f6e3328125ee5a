"""Striking values out of text, whole and in pieces."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.protocol.redaction import TOKEN_MASK, Redactor, mask
from kernel_bridge.protocol.spellings import SHORTEST, WAYS, spellings

# Few letters, so that values overlap each other and themselves.
VALUES = st.dictionaries(st.sampled_from("KLMN"), st.text("ab", min_size=SHORTEST, max_size=12), max_size=4)
PIECES = st.lists(st.text("abc", max_size=12), max_size=12)
TOKEN = "cb_" + "aB3-_" * 8 + "xyz"
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"
    "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\n"
    "-----END PRIVATE KEY-----\n"
)


@given(VALUES, PIECES)
def test_pieces_are_struck_like_the_whole(values: dict[str, str], pieces: list[str]) -> None:
    """However a text is cut, the same comes out, and no value is in it."""
    redactor = Redactor(values)
    stream = redactor.stream()
    whole, told = "".join(pieces), "".join(map(stream.feed, pieces))
    assert redactor.strike(whole).startswith(told)
    assert stream.feed("\n") + stream.flush() == redactor.strike(whole + "\n")[len(told) :]
    assert not any(value in redactor.strike(whole) for value in values.values())


@given(st.text("xyz \n", max_size=40), st.text(min_size=SHORTEST, max_size=30), st.integers(0, 30))
def test_a_value_split_across_pieces_is_struck(around: str, value: str, at: int) -> None:
    """Any value, cut anywhere."""
    stream = Redactor({"KEY": value}).stream()
    out = stream.feed(around + value[:at]) + stream.feed(value[at:] + around) + stream.flush()
    assert len(value.strip()) < SHORTEST or value.strip() not in out.replace(mask("KEY"), "")


@given(st.text(min_size=SHORTEST, max_size=40), st.text(max_size=9), st.text(max_size=9))
def test_base64_of_a_text_around_a_value_is_struck(value: str, before: str, after: str) -> None:
    """At whatever alignment it lies, in both alphabets: no more than the characters shared with what is around stay."""
    raw = (before + value + after).encode("utf-8", "surrogatepass")
    redactor = Redactor({"KEY": value})
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        out = redactor.strike(encode(raw).decode())
        rest = len(base64.b64encode((before + after).encode("utf-8", "surrogatepass"))) + 8
        assert len(value.strip()) < SHORTEST or (mask("KEY") in out and len(out.replace(mask("KEY"), "")) <= rest)


def test_text_without_values_is_not_held_back() -> None:
    """Output is shown as it comes; only what may become a value waits."""
    stream = Redactor({"KEY": "secret-value"}).stream()
    assert stream.feed("epoch 1\n") == "epoch 1\n"
    assert stream.feed("the sec") == "the "
    assert stream.feed("ond\n") == "second\n"
    assert not stream.holds


@pytest.mark.parametrize("spell", WAYS.values(), ids=WAYS.keys())
def test_other_spellings_are_struck(spell) -> None:  # type: ignore[no-untyped-def]
    """However a tool writes the whole value."""
    value = "a\"b/ü <secret> & \\ 'key'"
    out = Redactor({"KEY": value}).strike(f"<{spell(value)}>")
    assert out == f"<{mask('KEY')}>"


@pytest.mark.parametrize("spell", [str, repr, json.dumps, html.escape, quote, quote_plus])
def test_a_private_key_is_struck_line_by_line(spell) -> None:  # type: ignore[no-untyped-def]
    """Whole, or one of its lines; what says only that it is a key stays."""
    redactor = Redactor({"PEM": PEM})
    assert "MIIE" not in redactor.strike(spell(PEM))
    for line in PEM.splitlines():
        assert (redactor.strike(spell(f"  {line} ")) == spell(f"  {line} ")) == line.startswith("-----")


def test_wrapped_base64_is_struck() -> None:
    """`base64` and `openssl base64` print long values in several lines."""
    redactor = Redactor({"PEM": PEM})
    wide = base64.encodebytes(PEM.encode()).decode()
    assert redactor.strike(wide).split() == [mask("PEM")] * len(wide.split())


def test_short_values_are_left() -> None:
    """Striking every `1` would spoil the output and hide nothing."""
    redactor = Redactor({"A": "1", "B": "true", "C": "", "D": "  1234567 "})
    assert redactor.strike("1 is true 1234567") == "1 is true 1234567"


def test_no_values_hold_nothing_back() -> None:
    """A session without secrets waits for nothing."""
    stream = Redactor({}).stream()
    assert [stream.feed(piece) for piece in ("text", "c", "cb", "_")] == ["text", "c", "cb", "_"]


def test_tokens_are_known_by_their_form() -> None:
    """Nobody has to say what they are, also when they come in two pieces."""
    redactor = Redactor({})
    assert redactor.strike(f"<{TOKEN}>") == f"<{TOKEN_MASK}>"
    stream = redactor.stream()
    assert stream.feed(f"<{TOKEN[:20]}") == "<"
    assert stream.feed(f"{TOKEN[20:]}>") == f"{TOKEN_MASK}>"
    assert redactor.strike("cb_short and cb_" + "x" * 20) == "cb_short and cb_" + "x" * 20


def test_a_beginning_that_was_shown_does_not_save_the_rest() -> None:
    """Where the output pauses after a few characters they are shown; what follows of the value is struck."""
    stream = Redactor({"KEY": "hunter2-hunter2-hunter2"}).stream()
    assert stream.feed("it is hunt") + stream.release() == "it is hunt"
    assert stream.feed("er2-hunter2-hunter2!") == mask("KEY") + "!"


def test_much_of_a_value_is_struck_at_the_end() -> None:
    """A pause does not show it, and the end strikes it as if it were all."""
    stream = Redactor({"KEY": "hunter2-hunter2-hunter2"}).stream()
    assert stream.feed("hunter2-hunter2-") + stream.release() == ""
    assert stream.flush() == mask("KEY")
    assert not stream.holds


def test_values_are_found_in_pickles_and_json() -> None:
    """Without decoding either."""
    redactor = Redactor({"KEY": 'say "hello" to them'})
    assert redactor.held_in(b'\x80\x05X say "hello" to them.') == {"KEY"}
    assert redactor.held_in(b"say hello") == frozenset()
    assert redactor.may_be_in_json(json.dumps({"a": 'say "hello" to them'}).encode())
    assert redactor.may_be_in_json(json.dumps(json.dumps({"a": 'say "hello" to them'})).encode())
    assert not redactor.may_be_in_json(b'{"a":"nothing"}')
    assert redactor.strike_all({'x say "hello" to them': [{"a": 'say "hello" to them'}, 1, None]}) == {
        "x ***KEY***": [{"a": "***KEY***"}, 1, None]
    }


@given(st.text(max_size=40))
def test_every_spelling_names_its_variable(value: str) -> None:
    """And the ones with a way back are what that way writes."""
    for text, spelling in spellings("KEY", value):
        assert len(text) >= SHORTEST
        assert spelling.key == "KEY"
        assert not spelling.way or WAYS[spelling.way](value) == text
