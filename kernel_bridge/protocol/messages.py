"""Jupyter messages on a websocket, in the layout of `v1.kernel.websocket.jupyter.org`.

The layout: a little-endian u64 count of offsets, the offsets (u64 each), then channel, header, parent_header, metadata,
content and the binary buffers, each from its offset to the next. Besides Jupyter's own channels there is one of ours,
`state`, on which values, files and packages are asked for while a cell runs: the shell channel is busy with that cell.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from kernel_bridge.errors import BadRequest

SHELL: Final = "shell"
CONTROL: Final = "control"
IOPUB: Final = "iopub"
STDIN: Final = "stdin"
STATE: Final = "state"
JUPYTER_PROTOCOL: Final = "5.4"

_PARTS_BEFORE_BUFFERS: Final = 5
_MAX_PARTS: Final = 100_000  # more buffers than any sane value has

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Message:
    """One Jupyter message and the channel it travels on."""

    channel: str
    header: dict[str, Any]
    parent_header: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)
    buffers: tuple[Buffer, ...] = ()

    @property
    def type(self) -> str:
        """Return the `msg_type`."""
        return str(self.header.get("msg_type", ""))

    @property
    def id(self) -> str:
        """Return the `msg_id`."""
        return str(self.header.get("msg_id", ""))

    @property
    def parent_id(self) -> str:
        """Return the `msg_id` of the message this one answers, or an empty string."""
        return str(self.parent_header.get("msg_id", ""))


def new_header(msg_type: str, session: str, *, msg_id: str = "", username: str = "") -> dict[str, Any]:
    """Make the header of a message that is born now."""
    return {
        "msg_id": msg_id or uuid.uuid4().hex,
        "msg_type": msg_type,
        "username": username,
        "session": session,
        "date": datetime.now(UTC).isoformat(),
        "version": JUPYTER_PROTOCOL,
    }


def encode(message: Message) -> list[Buffer]:
    """Return the pieces of the message's bytes, buffers uncopied; join them or hand them on as fragments."""
    parts: list[Buffer] = [
        message.channel.encode(),
        _json(message.header),
        _json(message.parent_header),
        _json(message.metadata),
        _json(message.content),
        *(memoryview(buffer).cast("B") for buffer in message.buffers),
    ]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return [struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets), *parts]


def decode(data: Buffer) -> Message:
    """Read a message; its buffers are views into `data`. Raises BadRequest for bytes that are none."""
    view = memoryview(data)
    offsets = _offsets(view)
    parts = [view[start:end] for start, end in pairwise(offsets)]
    try:
        header, parent, metadata, content = map(_object, parts[1:5])
        channel = bytes(parts[0]).decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"A message could not be read: {error}.") from None
    return Message(channel, header, parent, metadata, content, tuple(parts[_PARTS_BEFORE_BUFFERS:]))


def peek_text(data: Buffer) -> bytes:
    """Return the metadata and the content of an encoded message as they are: JSON that nobody has read."""
    view = memoryview(data)
    offsets = _offsets(view)
    return bytes(view[offsets[3] : offsets[5]])


@dataclass(frozen=True, slots=True)
class Glance:
    """What a relay needs of a message without reading it: the channel and the two headers."""

    channel: str
    header: dict[str, Any]
    parent_header: dict[str, Any]


def peek_channel(data: Buffer) -> str:
    """Return the channel of an encoded message without reading the rest."""
    view = memoryview(data)
    offsets = _offsets(view)
    return bytes(view[offsets[0] : offsets[1]]).decode(errors="replace")


def glance(data: Buffer) -> Glance:
    """Read the channel and the headers only; raises BadRequest for bytes that are no message."""
    view = memoryview(data)
    offsets = _offsets(view)
    header = _object(view[offsets[1] : offsets[2]])
    parent = _object(view[offsets[2] : offsets[3]])
    return Glance(bytes(view[offsets[0] : offsets[1]]).decode(errors="replace"), header, parent)


def _offsets(view: memoryview) -> Sequence[int]:
    if len(view) < 8:
        raise BadRequest("A message is too short to be one.")
    (count,) = struct.unpack_from("<Q", view)
    if not _PARTS_BEFORE_BUFFERS < count <= _MAX_PARTS or len(view) < 8 * (count + 1):
        raise BadRequest("A message announces a wrong number of parts.")
    offsets = struct.unpack_from(f"<{count}Q", view, 8)
    if list(offsets) != sorted(offsets) or offsets[0] < 8 * (count + 1) or offsets[-1] != len(view):
        raise BadRequest("A message's parts do not fit its length.")
    return offsets


def _object(part: memoryview) -> dict[str, Any]:
    try:
        found = json.loads(bytes(part))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"A message could not be read: {error}.") from None
    if not isinstance(found, dict):
        raise BadRequest("A message's headers and content are objects.")
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=str).encode()
