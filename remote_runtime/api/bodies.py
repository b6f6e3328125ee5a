"""What routes do with bodies: read a small one as a value, take a large one as it comes, send a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import IO, Any, Final, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse

from kernel_bridge.errors import BadRequest, TooLarge
from kernel_bridge.protocol.wire import from_wire

JSON_LIMIT_BYTES: Final = 16 << 20
BATCH_BYTES: Final = 1 << 20  # one hop to a thread for so much

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Sink(Protocol[T_co]):
    """Where a large body goes. Its methods block, so they run in a thread."""

    def write(self, *chunks: bytes) -> None:
        """Take the next bytes."""

    def commit(self) -> T_co:
        """Make the whole visible."""

    def discard(self) -> None:
        """Give up; after `commit` do nothing."""


async def json_body(request: Request, kind: type[T], limit_bytes: int = JSON_LIMIT_BYTES) -> T:
    """Read the body as a dataclass of the wire; raises BadRequest or TooLarge. An empty body is an empty object."""
    text = await small_body(request, limit_bytes)
    try:
        data: Any = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    return from_wire(kind, data)


async def small_body(request: Request, limit_bytes: int = JSON_LIMIT_BYTES) -> bytes:
    """Read the body whole; raises TooLarge as soon as it passes the limit."""
    check_length(request, limit_bytes)
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > limit_bytes:
            raise TooLarge(f"This body may have {limit_bytes} bytes.")
    return bytes(parts)


async def receive(request: Request, sink: Sink[T]) -> T:
    """Hand the body to a sink as it comes; nothing of it stays unless all of it came."""
    try:
        batch: list[bytes] = []
        async for chunk in request.stream():
            batch.append(chunk)
            if sum(map(len, batch)) >= BATCH_BYTES:
                await asyncio.to_thread(sink.write, *batch)
                batch = []
        await asyncio.to_thread(sink.write, *batch)
        return await asyncio.to_thread(sink.commit)
    except ClientDisconnect:
        raise BadRequest("The upload broke off: send it again.") from None
    finally:
        sink.discard()


def check_length(request: Request, limit_bytes: int) -> None:
    """Refuse a body that says it is too large before it is sent; raises TooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit_bytes:
        raise TooLarge(f"This body may have {limit_bytes} bytes, not {announced}.")


def send_file(file: IO[bytes], size_bytes: int) -> StreamingResponse:
    """Send an open file of that size and close it; what is appended meanwhile is not sent."""
    headers = {"Content-Length": str(size_bytes), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_pieces(file, size_bytes), media_type="application/octet-stream", headers=headers)


def _pieces(file: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    with file:
        while size_bytes > 0 and (piece := file.read(min(BATCH_BYTES, size_bytes))):
            size_bytes -= len(piece)
            yield piece
