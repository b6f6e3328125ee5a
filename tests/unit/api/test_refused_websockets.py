"""A websocket that is turned away gets one answer."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Depends, FastAPI, WebSocket

from kernel_bridge.errors import Unauthorized
from remote_runtime.api import failures


def test_a_websocket_is_refused_once() -> None:
    """The refusal's status and body are sent a single time: a second one would end in a traceback in the log."""
    app = FastAPI()
    failures.install(app)

    def nobody() -> None:
        raise Unauthorized("Who are you?")

    @app.websocket("/channel", dependencies=[Depends(nobody)])
    async def channel(websocket: WebSocket) -> None:
        await websocket.accept()

    sent = asyncio.run(_dial(app, "/channel"))
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 401


async def _dial(app: FastAPI, path: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    await app(scope, receive, send)
    return sent
