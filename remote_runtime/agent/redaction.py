"""The last gate of a container's output: secrets' values and tokens are struck from every text that leaves it.

Messages of the kernel child and what processes wrote to its pipes pass here in their order, so that a value is found
when one half came by either way. Binary buffers are values, not text, and pass as they are: the child looks at those.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.messages import (
    IOPUB,
    SHELL,
    STATE,
    Buffer,
    Message,
    decode,
    encode,
    glance,
    new_header,
    peek_text,
)
from kernel_bridge.protocol.redaction import RedactedStream, Redactor
from remote_runtime.agent.secrets import secrets_of

_PAUSE_S: Final = 0.1  # after which the beginning of what could have become a value is shown

Send = Callable[[list[Buffer]], None]


class Gate:
    """Sends a container's messages on, struck. Output waits only while it could be the beginning of a value."""

    def __init__(self, config: ContainerConfig, send: Send) -> None:
        self.redactor = Redactor(secrets_of(config))
        self._send = send
        self._streams: dict[str, _Stream] = {}
        self._timer: asyncio.TimerHandle | None = None

    def send(self, body: bytes) -> None:
        """Send an encoded message."""
        head = glance(body)
        kind = str(head.header.get("msg_type"))
        if head.channel == IOPUB and kind == "stream":
            self._send_stream(body)
            return
        if head.channel != STATE:  # what was printed before it is shown before it
            self._write_out(ends=head.channel == SHELL and kind == "execute_reply")
        self._send([body] if not self.redactor.may_be_in_json(peek_text(body)) else encode(self._struck(decode(body))))

    def write(self, name: str, text: str, parent: Mapping[str, Any]) -> None:
        """Send text of a stream that did not come as a message."""
        message = Message(IOPUB, new_header("stream", "cellburst"), dict(parent), {}, {"name": name, "text": text})
        self._feed(message)

    def strike(self, text: str) -> str:
        """Return a text as it may be seen."""
        return self.redactor.strike(text)

    def guard_logs(self, *names: str) -> None:
        """Have the log of this process struck, too: of these loggers, and where nobody set a handler up."""
        struck = _Struck(self.redactor.strike)
        for name in names:
            logging.getLogger(name).addFilter(struck)
        for handler in (logging.lastResort, *logging.getLogger().handlers):
            if handler is not None:
                handler.addFilter(struck)

    def _send_stream(self, body: bytes) -> None:
        if not self.redactor.has_values and not self._waits() and not self.redactor.may_be_in_json(peek_text(body)):
            self._send([body])
        else:
            self._feed(decode(body), body)

    def _feed(self, message: Message, body: bytes | None = None) -> None:
        name, text = str(message.content.get("name", "")), str(message.content.get("text", ""))
        stream = self._streams.setdefault(name, _Stream(self.redactor.stream()))
        for other in self._streams.values():  # what the other stream got first is shown first
            if other is not stream and other.text.holds:
                self._publish(other.last, other.text.release())
        waited = stream.text.holds
        out = stream.text.feed(text)
        stream.last = message
        if body is not None and out == text and not waited:
            self._send([body])
        else:
            self._publish(message, out)
        if stream.text.holds and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_S, self._paused)

    def _publish(self, message: Message | None, text: str) -> None:
        if text and message is not None:
            header = new_header("stream", "cellburst")
            self._send(encode(replace(message, header=header, content={**message.content, "text": text})))

    def _paused(self) -> None:
        self._timer = None
        self._write_out(ends=False)

    def _write_out(self, *, ends: bool) -> None:
        for stream in self._streams.values() if self._waits() else ():
            self._publish(stream.last, stream.text.flush() if ends else stream.text.release())

    def _waits(self) -> bool:
        return any(stream.text.holds for stream in self._streams.values())

    def _struck(self, message: Message) -> Message:
        strike = self.redactor.strike_all
        return replace(message, metadata=strike(message.metadata), content=strike(message.content))


class _Stream:
    """One of the two streams, and the message its last text came in."""

    def __init__(self, text: RedactedStream) -> None:
        self.text = text
        self.last: Message | None = None


class _Struck(logging.Filter):
    """Strikes a record before anybody formats it, its traceback too."""

    def __init__(self, strike: Callable[[str], str]) -> None:
        super().__init__()
        self._strike = strike

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's texts; it always stays."""
        text = record.getMessage()
        if record.exc_info:  # into the text: formatters differ in where they look for it
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
            record.exc_info = record.exc_text = None
        record.msg, record.args = self._strike(text), None
        return True
