"""Jupyter messages in the kernel websocket's layout."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.messages import Message, decode, encode, glance, new_header, peek_channel

JSON = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(), st.none(), st.booleans()))


@given(content=JSON, metadata=JSON, buffers=st.lists(st.binary(max_size=50), max_size=5))
def test_a_message_is_read_back(content: dict, metadata: dict, buffers: list[bytes]) -> None:  # type: ignore[type-arg]
    """Every part survives, buffers included."""
    sent = Message("iopub", new_header("stream", "s"), {"msg_id": "p"}, metadata, content, tuple(buffers))
    data = b"".join(encode(sent))
    got = decode(data)
    assert (got.channel, got.header, got.parent_id) == ("iopub", sent.header, "p")
    assert (got.content, got.metadata) == (content, metadata)
    assert [bytes(buffer) for buffer in got.buffers] == buffers
    assert peek_channel(data) == "iopub"
    assert glance(data).header == sent.header


@given(st.binary(max_size=200))
def test_any_bytes_make_a_message_or_a_clear_error(data: bytes) -> None:
    """Bytes from anywhere never raise anything but BadRequest."""
    for read in (decode, glance, peek_channel):
        with contextlib.suppress(BadRequest):
            read(data)


def test_offsets_that_lie_are_refused() -> None:
    """A message whose parts do not fit its length is not read."""
    data = bytearray(b"".join(encode(Message("shell", new_header("x", "s")))))
    data[8:16] = (10**6).to_bytes(8, "little")
    with pytest.raises(BadRequest, match="parts"):
        decode(bytes(data))
