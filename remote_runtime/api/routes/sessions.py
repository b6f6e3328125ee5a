"""Sessions: open, look, stop, reset, pin, add packages, and the notebook's channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, WebSocket

from kernel_bridge.protocol.sessions import SessionSpec
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, principal_of
from remote_runtime.api.bodies import json_body
from remote_runtime.api.relay import Relay
from remote_runtime.scheduler.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Pin:
    """Until when a session stays warm (epoch seconds); None: no longer than it has work."""

    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Packages:
    """Which packages a session is to have, as `name==version`."""

    requirements: tuple[str, ...]


def router(sessions: Sessions, relay: Relay, gate: Gate) -> APIRouter:
    """Make the routes of sessions."""
    routes = APIRouter(dependencies=[Depends(gate.person)])

    @routes.post("/v1/sessions")
    async def open_session(request: Request) -> Any:
        """Find or open the session of a specification; starts nothing."""
        return to_wire(await sessions.open(await json_body(request, SessionSpec), principal_of(request).owner))

    @routes.get("/v1/sessions")
    async def listed(request: Request) -> Any:
        """List the sessions that stand."""
        return to_wire(await sessions.list(principal_of(request).owner))

    @routes.get("/v1/sessions/{session_id}")
    async def get(session_id: str, request: Request) -> Any:
        """Show a session."""
        return to_wire(await sessions.info(session_id, principal_of(request).owner))

    @routes.delete("/v1/sessions/{session_id}")
    async def reset(session_id: str, request: Request) -> Any:
        """End its container, discard its state, close it."""
        return to_wire(await sessions.reset(session_id, principal_of(request).owner))

    @routes.get("/v1/sessions/{session_id}/cells")
    async def cells(session_id: str, request: Request) -> Any:
        """List its newest cells in the order they started."""
        return to_wire(await sessions.cells(session_id, principal_of(request).owner))

    @routes.websocket("/v1/sessions/{session_id}/channel")
    async def channel(session_id: str, websocket: WebSocket) -> None:
        """Speak with a notebook: see kernel_bridge/protocol/notes.py."""
        await sessions.info(session_id, principal_of(websocket).owner)
        await relay.serve_client(session_id, websocket)

    _verbs(routes, sessions)
    return routes


def _verbs(routes: APIRouter, sessions: Sessions) -> None:
    @routes.post("/v1/sessions/{session_id}/stop")
    async def stop(session_id: str, request: Request) -> Any:
        """Save its state and let its container go; answers when that is done."""
        return to_wire(await sessions.stop(session_id, principal_of(request).owner))

    @routes.post("/v1/sessions/{session_id}/pin")
    async def pin(session_id: str, request: Request) -> Any:
        """Keep its container until then, idle or not."""
        wanted = await json_body(request, Pin)
        return to_wire(await sessions.pin(session_id, principal_of(request).owner, wanted.until_s))

    @routes.post("/v1/sessions/{session_id}/layers")
    async def layers(session_id: str, request: Request) -> Any:
        """Build a layer of exactly these packages; the lines of the build go to the session's channel."""
        wanted = await json_body(request, Packages)
        return to_wire(await sessions.add_layer(session_id, principal_of(request).owner, wanted.requirements))
