"""Websockets whose other side is gone without a word: pinged, and cut off when nothing comes back.

A link that went down sends nothing that could be read, and a socket takes what is written to it for a quarter of an
hour. So pings are answered in time or the connection is cut: closing it properly would wait for what nobody takes.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_TRANSPORT: Final = "cellburst.transport"


class Protocol(WebSocketsSansIOProtocol):
    """Uvicorn's own, which cuts where that closes, and tells the application by what transport a websocket comes."""

    def handle_connect(self, event: Any) -> None:
        """Take a handshake; the application is started by it, and runs later."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            scope: Any = self.scope
            scope[_TRANSPORT] = self.transport

    def keepalive_timeout(self) -> None:
        """Cut the connection: no answer came to the last ping."""
        self.pong_timer = None
        self.pending_ping_payload = None
        self.transport.abort()


def cut(websocket: WebSocket) -> None:
    """Cut a connection at once; whoever waits to send on it is told that it is gone."""
    transport: asyncio.Transport | None = websocket.scope.get(_TRANSPORT)
    if transport is not None:
        transport.abort()
