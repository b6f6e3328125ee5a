"""Frames and envelopes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.errors import BadRequest, TooLarge
from kernel_bridge.protocol.framing import FRAME, SEQ_LIMIT, Frames, envelope, frame, note, open_envelope, read_note


@given(bodies=st.lists(st.tuples(st.binary(max_size=200), st.integers(0, 255))), cuts=st.lists(st.integers(1, 50)))
def test_frames_come_out_whole_however_they_are_cut(bodies: list[tuple[bytes, int]], cuts: list[int]) -> None:
    """The bytes may arrive in any pieces."""
    stream = b"".join(b"".join(frame([body], flags)) for body, flags in bodies)
    frames, seen, start = Frames(), [], 0
    for size in [*cuts, len(stream) + 1]:
        seen += frames.feed(stream[start : start + size])
        start += size
    seen += frames.feed(stream[start:])
    assert seen == [(flags, body) for body, flags in bodies]


def test_a_frame_over_the_limit_is_refused() -> None:
    """A length nobody would send is an error before any memory is taken."""
    with pytest.raises(TooLarge, match="are allowed"):
        list(Frames(limit_bytes=10).feed(FRAME.pack(11, 0)))


@given(kind=st.sampled_from([0, 1, 2]), seq=st.integers(0, SEQ_LIMIT), body=st.binary(max_size=100))
def test_an_envelope_opens_to_what_was_put_in(kind: int, seq: int, body: bytes) -> None:
    """Kind, number and body survive."""
    assert open_envelope(envelope(kind, seq, [body])) == (kind, seq, memoryview(body))


@pytest.mark.parametrize("data", [b"", b"\x00" * 8, b"\x09" + b"\x00" * 8])
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    """Too short, or of a kind nobody knows."""
    with pytest.raises(BadRequest):
        open_envelope(data)


@given(st.binary())
def test_any_bytes_make_a_note_or_a_clear_error(data: bytes) -> None:
    """A foreign note never raises anything but BadRequest."""
    with contextlib.suppress(BadRequest):
        read_note(data)


def test_a_note_is_read_back() -> None:
    """Its fields survive the envelope."""
    _, _, body = open_envelope(note({"kind": "wake"}))
    assert read_note(body) == {"kind": "wake"}
