"""A websocket whose messages are handed over where they are parsed, without a task or a queue in between.

`websockets` wakes a task for each message received, and wants one for each message sent; both cost about as much as the
socket itself. Everything else (handshake, proxies, TLS, pings, closing) is the library's.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Event
from websockets.typing import DataLike

from kernel_bridge.config import Address
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import Buffer

OnMessage = Callable[["DirectConnection", Buffer], None]

CLOSE_WITHIN_S: Final = 2.0
_MESSAGE_LIMIT_BYTES = DEFAULTS.frame_limit_bytes + (1 << 20)


class DirectConnection(ClientConnection):
    """One connection; `on_message` is called on the loop's thread for every binary message and must not raise."""

    def __init__(self, protocol: ClientProtocol, *, on_message: OnMessage, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._on_message = on_message
        self._fragments: list[Buffer] = []

    @property
    def is_open(self) -> bool:
        """Tell whether a message can be sent now."""
        return self.protocol.state is OPEN

    def process_event(self, event: Event) -> None:
        """Hand over a whole message; leave all other events to the library."""
        if not isinstance(event, Frame) or event.opcode not in (Opcode.BINARY, Opcode.CONT):
            super().process_event(event)
        elif event.fin and not self._fragments:
            self._on_message(self, event.data)
        else:
            self._fragments.append(event.data)
            if event.fin:
                self._on_message(self, b"".join(self._fragments))
                self._fragments.clear()

    async def ping(self, data: DataLike | None = None) -> Awaitable[float]:
        """Send a ping; the library would draw its content from the generator that the notebook may have seeded."""
        return await super().ping(os.urandom(4) if data is None else data)

    def send_now(self, data: Buffer) -> None:
        """Put a message into the socket at once; on the loop's thread. Into a closed one nothing goes: we resume."""
        if self.is_open:
            self.protocol.send_binary(data)
            self.send_data()


async def dial(address: Address, path: str, on_message: OnMessage) -> DirectConnection:
    """Connect to a path of a runtime; raises OSError or a WebSocketException."""
    socket: dict[str, Any] = {"unix": True, "path": address.socket, "proxy": None} if address.socket else {}
    url = "ws://localhost" if address.socket else "ws" + address.url.removeprefix("http")
    options: dict[str, Any] = {
        "additional_headers": {"Authorization": f"Bearer {address.token}"},
        "compression": None,
        "ping_interval": DEFAULTS.heartbeat_s,
        "ping_timeout": DEFAULTS.silence_s,
        "close_timeout": CLOSE_WITHIN_S,
        "max_size": _MESSAGE_LIMIT_BYTES,
        "create_connection": functools.partial(DirectConnection, on_message=on_message),
    }
    return cast("DirectConnection", await connect(url + path, **options, **socket))
