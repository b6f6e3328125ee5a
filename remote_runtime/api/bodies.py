"""What routes do with bodies: read a small one as a value, take a large one as it comes, send a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any, Final, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse

from kernel_bridge.errors import BadRequest, TooLarge
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.api import direct

JSON_LIMIT_BYTES: Final = 16 << 20
BATCH_BYTES: Final = 1 << 20  # one hop to a thread for so much
DIRECT_FROM_BYTES: Final = 4 << 20  # below it, a new connection costs more than the copies

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Sink(Protocol[T_co]):
    """Where a large body goes. Its methods block, so they run in a thread."""

    def write(self, *chunks: Buffer) -> None:
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
        if b"\\ud" in text.lower():  # half of a character is text to nobody after us
            json.dumps(data, ensure_ascii=False).encode()
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
    loop, writing = asyncio.get_running_loop(), None
    try:
        async for batch in _batches(request):
            if writing is not None:
                await writing
            writing = loop.run_in_executor(None, sink.write, *batch)  # the next batch arrives meanwhile
        if writing is not None:
            await writing
        return await asyncio.to_thread(sink.commit)
    except ClientDisconnect:
        raise BadRequest("The upload broke off: send it again.") from None
    finally:
        if writing is not None:
            await asyncio.wait([writing])  # nobody closes a file that a thread writes to
        sink.discard()


def check_length(request: Request, limit_bytes: int) -> None:
    """Refuse a body that says it is too large before it is sent; raises TooLarge."""
    announced = _announced(request)
    if announced is not None and announced > limit_bytes:
        raise TooLarge(f"This body may have {limit_bytes} bytes, not {announced}.")


def send_file(file: IO[bytes], size_bytes: int) -> StreamingResponse:
    """Send an open file of that size and close it; what is appended meanwhile is not sent."""
    headers = {"Content-Length": str(size_bytes), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_pieces(file, size_bytes), media_type="application/octet-stream", headers=headers)


async def _batches(request: Request) -> AsyncIterator[list[Buffer]]:
    """Gather what comes into pieces that are worth a hop to a thread; each is good until the one after the next."""
    batch: list[Buffer] = []
    size_bytes = 0
    left_bytes = _announced(request) or 0
    async for chunk in request.stream():
        batch.append(chunk)
        size_bytes += len(chunk)
        left_bytes -= len(chunk)
        taken = direct.take_over(request) if left_bytes >= DIRECT_FROM_BYTES else None
        if taken is not None:
            yield batch
            with taken:
                async for piece in direct.pieces(taken, left_bytes, BATCH_BYTES):
                    yield [piece]
            return
        if size_bytes >= BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _announced(request: Request) -> int | None:
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdigit() else None


def _pieces(file: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    with file:
        while size_bytes > 0 and (piece := file.read(min(BATCH_BYTES, size_bytes))):
            size_bytes -= len(piece)
            yield piece
