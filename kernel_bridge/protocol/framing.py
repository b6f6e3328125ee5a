"""Envelopes on the websockets, and frames on the byte streams inside a container. Sans I/O.

An *envelope* is one websocket message: a byte that says what it is, a sequence number, the body. A *frame* is the same
body on a stream socket: u32 length, a byte of flags, the body. Both carry encoded Jupyter messages.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, Final

from kernel_bridge.errors import BadRequest, TooLarge
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import Buffer

MESSAGE: Final = 0  # body: a Jupyter message; seq: its number in this direction, from 1
ACK: Final = 1  # no body; seq: everything up to it has arrived
NOTE: Final = 2  # body: JSON with a `kind`, see protocol/notes.py; not numbered, never resent

SEQ_LIMIT: Final = (1 << 63) - 1  # more than any stream has, and what a database can hold

ENVELOPE: Final = struct.Struct("<BQ")
FRAME: Final = struct.Struct("<IB")


def envelope(kind: int, seq: int, pieces: list[Buffer] | None = None) -> bytes:
    """Join one websocket message."""
    return b"".join([ENVELOPE.pack(kind, seq), *(pieces or ())])


def note(fields: dict[str, Any]) -> bytes:
    """Make the envelope of a note."""
    return envelope(NOTE, 0, [json.dumps(fields, separators=(",", ":")).encode()])


def open_envelope(data: Buffer) -> tuple[int, int, memoryview]:
    """Split a websocket message into kind, sequence number and body; raises BadRequest."""
    view = memoryview(data)
    if len(view) < ENVELOPE.size:
        raise BadRequest("A frame is too short to be one.")
    kind, seq = ENVELOPE.unpack_from(view)
    if kind not in (MESSAGE, ACK, NOTE):
        raise BadRequest(f"A frame of unknown kind {kind} arrived.")
    if seq > SEQ_LIMIT:
        raise BadRequest("A frame has a number that no stream reaches.")
    return kind, seq, view[ENVELOPE.size :]


def read_note(body: Buffer) -> dict[str, Any]:
    """Read the JSON of a note; raises BadRequest."""
    try:
        fields = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"A note could not be read: {error}.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        raise BadRequest("A note must be an object with a kind.")
    return fields


def frame(pieces: list[Buffer], flags: int = 0) -> list[Buffer]:
    """Put the length and the flags before a body that goes down a stream."""
    return [FRAME.pack(sum(len(piece) for piece in pieces), flags), *pieces]


class Frames:
    """Bytes in, whole frames out, however the bytes were cut."""

    def __init__(self, limit_bytes: int = DEFAULTS.frame_limit_bytes) -> None:
        self._pending = bytearray()
        self._limit_bytes = limit_bytes

    def feed(self, data: Buffer) -> Iterator[tuple[int, bytes]]:
        """Yield (flags, body) of every frame that is complete now; raises TooLarge."""
        self._pending += data
        start = 0
        while len(self._pending) - start >= FRAME.size:
            size, flags = FRAME.unpack_from(self._pending, start)
            if size > self._limit_bytes:
                raise TooLarge(f"A frame of {size} bytes arrived; {self._limit_bytes} are allowed.")
            end = start + FRAME.size + size
            if len(self._pending) < end:
                break
            yield flags, bytes(memoryview(self._pending)[start + FRAME.size : end])
            start = end
        del self._pending[:start]
