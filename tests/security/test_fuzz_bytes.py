"""Whatever bytes arrive, every decoder of the wire returns a value or raises BadRequest (or TooLarge)."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernel_bridge.client.conversation import Conversation
from kernel_bridge.errors import BadRequest, TooLarge
from kernel_bridge.protocol.cells import CellReply, CellRequest
from kernel_bridge.protocol.framing import FRAME, Frames, envelope, open_envelope, read_note
from kernel_bridge.protocol.messages import Message, decode, encode, glance, peek_channel, peek_text
from kernel_bridge.protocol.notes import KINDS, note_from_wire, note_to_wire
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec
from kernel_bridge.protocol.wire import from_wire, to_wire

MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
ODD = st.sampled_from([None, True, 1 << 70, -1, 1e308, float("nan"), float("inf"), "", "\ud800", "\0", "open", [], {}])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(ODD, st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
DEEP = b"[" * 100_000


def _fields(kind: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the right names and any values."""
    return st.dictionaries(st.sampled_from([*kind.__dataclass_fields__, "kind"]), JSON, max_size=12)


NOTES = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: _fields(KINDS[kind]).map(lambda found: {**found, "kind": kind})
)


@st.composite
def torn_messages(draw: st.DrawFn) -> bytes:
    """Messages with any JSON in their parts, cut and overwritten somewhere."""
    parts = [json.dumps(draw(JSON)).encode("utf-8", "surrogatepass") for _ in range(5)]
    parts[0] = draw(st.sampled_from([b"shell", b"iopub", b"\xff", b""]))
    offsets = [8 * 7]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    data = bytearray(struct.pack("<7Q", 6, *offsets) + b"".join(parts))
    for place, value in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=3)):
        data[place] = value
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(st.one_of(st.binary(max_size=200), torn_messages()))
@example(struct.pack("<Q", 1 << 63))
@example(b"".join(encode(Message("shell", {}, {}, {}, {}))).replace(b"{}", b"[]", 1))
@MANY
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    """At either end, and at the relay, which reads the headers only."""
    for read in (decode, glance, peek_channel, peek_text):
        try:
            found = read(data)
        except BadRequest:
            continue
        if isinstance(found, Message):
            assert isinstance(found.type + found.id + found.parent_id, str)


def test_nesting_is_no_way_out() -> None:
    """JSON that is nested deeper than the stack is refused as any other that cannot be read."""
    parts = [b"shell", DEEP, DEEP, DEEP, DEEP]
    offsets = [8 * 7]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    data = struct.pack("<7Q", 6, *offsets) + b"".join(parts)
    for read, given_ in ((decode, data), (glance, data), (read_note, DEEP)):
        try:
            read(given_)
        except BadRequest:
            continue
        raise AssertionError(read)


@given(
    st.one_of(
        st.binary(max_size=60), st.tuples(st.integers(0, 5), st.integers(0, (1 << 64) - 1)).map(lambda p: envelope(*p))
    )
)
@MANY
def test_any_envelope_is_opened_or_refused(data: bytes) -> None:
    """Kind, number and body, or BadRequest."""
    try:
        kind, seq, body = open_envelope(data)
    except BadRequest:
        return
    assert kind in (0, 1, 2) and 0 <= seq < 1 << 63 and len(body) == len(data) - 9


@given(NOTES)
@MANY
def test_any_note_is_understood_or_refused(fields: dict[str, Any]) -> None:
    """What is understood can be said again."""
    try:
        said = note_from_wire(fields)
    except BadRequest:
        return
    json.dumps(note_to_wire(said), allow_nan=False)


@given(
    st.sampled_from([SessionSpec, SessionInfo, CellRequest, CellReply]).flatmap(
        lambda kind: st.tuples(st.just(kind), _fields(kind))
    )
)
@MANY
def test_any_object_is_a_value_or_refused(given_: tuple[type[Any], dict[str, Any]]) -> None:
    """The bodies of requests, and what travels with a cell."""
    kind, fields = given_
    try:
        value = from_wire(kind, fields)
    except BadRequest:
        return
    assert from_wire(kind, to_wire(value)) == value


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            NOTES.map(lambda f: envelope(2, 0, [json.dumps(f).encode()])),
            torn_messages().map(lambda m: envelope(0, 1, [m])),
        ),
        max_size=6,
    )
)
@MANY
def test_a_notebook_survives_what_a_runtime_says(frames: list[bytes]) -> None:
    """Its half of the conversation takes every frame or refuses it, and can still say hello afterwards."""
    conversation = Conversation()
    for data in frames:
        try:
            conversation.receive(data)
        except BadRequest:
            continue
    assert conversation.opening()


@given(st.lists(st.binary(max_size=40)), st.integers(0, 64))
@example([FRAME.pack((1 << 32) - 1, 0)], 64)
@MANY
def test_a_stream_of_frames_is_cut_right_or_refused(pieces: list[bytes], limit_bytes: int) -> None:
    """No length that arrives makes a reader wait for more than its limit."""
    frames = Frames(limit_bytes)
    try:
        for piece in pieces:
            assert all(len(body) <= limit_bytes for _, body in frames.feed(piece))
    except TooLarge:
        return
