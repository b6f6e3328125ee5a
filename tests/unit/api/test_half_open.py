"""A websocket whose other side is there and takes nothing: whoever sends on it is told in time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvicorn
from starlette.websockets import WebSocket

from remote_runtime.api import half_open
from remote_runtime.api.tie import End

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: runtime\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CHUNK = bytes(1 << 16)


def play(path: Path, ping_s: float | None, story: Callable[[End], Awaitable[None]]) -> None:
    """Serve one websocket whose other side never reads, and play the story with its end."""
    asyncio.run(_play(path, ping_s, story))


async def _play(path: Path, ping_s: float | None, story: Callable[[End], Awaitable[None]]) -> None:
    over = asyncio.Event()

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        try:
            await story(End(websocket))
        finally:
            over.set()

    config = uvicorn.Config(
        app, uds=str(path), lifespan="off", ws=half_open.Protocol, ws_ping_interval=ping_s, ws_ping_timeout=ping_s
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - no event comes from it
        await asyncio.sleep(0.01)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(path))
        deaf.sendall(HANDSHAKE)
        async with asyncio.timeout(30):
            await over.wait()
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await serving


def test_an_unanswered_ping_ends_a_send_that_waits(tmp_path: Path) -> None:
    """Closing properly would wait for what nobody takes: the connection is cut, and the sender goes on."""

    async def story(end: End) -> None:
        while await end.send(CHUNK):
            pass

    play(tmp_path / "s", 0.2, story)


def test_an_end_that_takes_nothing_is_cut(tmp_path: Path) -> None:
    """The watch sees since when it waits; one that takes what it is sent is left alone."""

    async def story(end: End) -> None:
        assert await end.send(b"small")
        assert not end.cut_if_stalled(0.0)

        async def watch() -> None:
            while not end.cut_if_stalled(0.1):  # noqa: ASYNC110 - no event comes from it
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        while await end.send(CHUNK):
            pass
        await watching

    play(tmp_path / "s", None, story)


def test_more_that_is_sent_to_an_end_that_takes_nothing_does_not_hide_that(tmp_path: Path) -> None:
    """Whoever joins the queue does not begin its time anew."""

    async def story(end: End) -> None:
        async def fill() -> None:
            while await end.send(CHUNK):
                pass

        filling = asyncio.create_task(fill())
        since_s, before_s = end.waits_since_s, -1.0
        while since_s is None or since_s != before_s:
            await asyncio.sleep(0.1)
            since_s, before_s = end.waits_since_s, since_s
        late = asyncio.create_task(end.send(CHUNK))
        await asyncio.sleep(0)
        assert end.waits_since_s == since_s
        end.cut_if_stalled(0.0)
        await asyncio.gather(filling, late)
        assert end.waits_since_s is None

    play(tmp_path / "s", None, story)


@pytest.mark.parametrize("times", [1, 3])
def test_a_send_is_noted_only_while_it_waits(tmp_path: Path, times: int) -> None:
    """Afterwards nothing is left of it."""

    async def story(end: End) -> None:
        for _ in range(times):
            assert await end.send(b"small")
            assert end.waits_since_s is None

    play(tmp_path / "s", None, story)
