"""Large bodies straight from the socket: past the HTTP parser, which copies every byte five times."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_WIRE: Final = "cellburst.wire"


class Protocol(H11Protocol):
    """Uvicorn's own, which tells the application by what transport a request comes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection."""
        super().connection_made(transport)
        app: Any = self.app

        async def told(scope: Any, receive: Any, send: Any) -> None:
            # The headers as uvicorn has them: those of the application's scope are a copy.
            await app({**scope, _WIRE: (transport, scope["headers"])}, receive, send)

        self.app = told


def take_over(request: Request) -> socket.socket | None:
    """Return the socket from which the rest of the body can be read now; None where it has to come the usual way.

    The connection serves no further request. Call it when `receive` has just returned: what follows is unread then.
    """
    transport, headers = request.scope.get(_WIRE, (None, []))
    if transport is None or transport.is_closing() or transport.get_extra_info("sslcontext") is not None:
        return None
    transport.pause_reading()
    # The parser waits for bytes it will not see; so uvicorn is to say and do what it does for `Connection: close`.
    headers.append((b"connection", b"close"))
    taken = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    taken.setblocking(False)
    return taken


async def pieces(taken: socket.socket, size_bytes: int, piece_bytes: int) -> AsyncIterator[memoryview]:
    """Read so many bytes; a piece is good until the one after the next is asked for. Raises ClientDisconnect."""
    loop = asyncio.get_running_loop()
    reading, other = memoryview(bytearray(piece_bytes)), memoryview(bytearray(piece_bytes))
    while size_bytes:
        piece = reading[: min(size_bytes, piece_bytes)]
        filled = 0
        while filled < len(piece):
            count = await loop.sock_recv_into(taken, piece[filled:])
            if not count:
                raise ClientDisconnect
            filled += count
        size_bytes -= filled
        reading, other = other, reading
        yield piece
