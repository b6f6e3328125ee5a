"""Which cell began and which ended, read off the messages that have just been passed on."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any, Final

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.framing import ENVELOPE
from kernel_bridge.protocol.messages import SHELL, Glance, glance, peek_channel
from remote_runtime.scheduler.lines import Listener

ID_LIMIT_CHARS: Final = 200
_CONTENT: Final = 4  # channel, header, parent_header, metadata, content
_TWO_OFFSETS: Final = struct.Struct("<2Q")


class Meter:
    """Tells the scheduler of one session's cells. It never keeps a message from passing."""

    def __init__(self, session_id: str, listener: Listener) -> None:
        self._session_id = session_id
        self._listener = listener

    def to_agent(self, data: bytes) -> None:
        """Look at what the container got."""
        body = memoryview(data)[ENVELOPE.size :]
        seen = _on_shell(body)
        if seen is not None and seen.header.get("msg_type") == "execute_request":
            digest = hashlib.sha256(_content(body)).hexdigest()
            self._listener.cell_started(self._session_id, _cell_id(seen.header), digest)

    def from_agent(self, data: bytes, seq: int) -> None:
        """Look at what the container sent."""
        body = memoryview(data)[ENVELOPE.size :]
        seen = _on_shell(body)
        if seen is not None and seen.header.get("msg_type") == "execute_reply":
            self._listener.cell_ended(self._session_id, _cell_id(seen.parent_header), _status(body), seq)


def _on_shell(body: memoryview) -> Glance | None:
    try:
        return glance(body) if peek_channel(body) == SHELL else None
    except BadRequest:
        return None  # the ends will say what they think of it


def _cell_id(header: dict[str, Any]) -> str:
    """Return the id of a cell as a database takes it: a client may have sent anything, and is billed all the same."""
    said = header.get("msg_id", "")
    if isinstance(said, str) and len(said) <= ID_LIMIT_CHARS and said.isascii() and said.isprintable():
        return said
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _content(body: memoryview) -> memoryview:
    start, end = _TWO_OFFSETS.unpack_from(body, 8 + 8 * _CONTENT)
    return body[start:end]


def _status(body: memoryview) -> str:
    """Return the reply's own word: ok, error or aborted."""
    try:
        content: Any = json.loads(bytes(_content(body)))
    except (ValueError, RecursionError):
        return ""
    return str(content.get("status", "")) if isinstance(content, dict) else ""
