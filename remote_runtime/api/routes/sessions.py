"""Sessions: open, look, stop, reset, pin, add packages, and the notebook's channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, WebSocket

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, owner_of, owners_of, principal_of, reach_of
from remote_runtime.api.bodies import json_body
from remote_runtime.api.description import Id, gives, takes
from remote_runtime.api.relay import Relay
from remote_runtime.api.watch import Watch
from remote_runtime.scheduler.sessions import LayerInfo, Sessions
from remote_runtime.store.holdings import IMAGE
from remote_runtime.store.rows import CellRow
from remote_runtime.store.store import Store

SPEC_LIMIT_BYTES: Final = 4 << 20  # a recipe may bring a megabyte of files
CORES_LIMIT: Final = 65_536
MEMORY_LIMIT_BYTES: Final = 1 << 50
IDLE_LIMIT_S: Final = 366 * 86400.0
THINGS_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class Pin:
    """Until when a session stays warm (epoch seconds); None: no longer than it has work."""

    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Packages:
    """Which packages a session is to have, as `name==version`; with `resolve` any requirement, and its dependencies."""

    requirements: tuple[str, ...]
    resolve: bool = False


def router(store: Store, sessions: Sessions, relay: Relay, watch: Watch, gate: Gate) -> APIRouter:
    """Make the routes of sessions."""
    routes = APIRouter(dependencies=[Depends(gate.person)])

    @routes.post("/v1/sessions", openapi_extra=takes(SessionSpec), responses=gives(SessionInfo))
    async def open_session(request: Request) -> Any:
        """Find or open the session of a specification; starts nothing."""
        spec, owner = await json_body(request, SessionSpec, SPEC_LIMIT_BYTES), owner_of(request)
        _check(spec)
        opened = await sessions.open(spec, owner)
        await store.run(store.holdings.add, owner, IMAGE, spec.image.digest)
        return to_wire(opened)

    @routes.get("/v1/sessions", responses=gives(list[SessionInfo]))
    async def listed(request: Request) -> Any:
        """List the sessions that stand."""
        return to_wire(await sessions.list(owners_of(request)))

    @routes.get("/v1/sessions/{session_id}", responses=gives(SessionInfo))
    async def get(session_id: Id, request: Request) -> Any:
        """Show a session."""
        return to_wire(await sessions.info(session_id, reach_of(request)))

    @routes.delete("/v1/sessions/{session_id}", responses=gives(SessionInfo))
    async def reset(session_id: Id, request: Request) -> Any:
        """End its container, discard its state, close it."""
        return to_wire(await sessions.reset(session_id, reach_of(request)))

    @routes.get("/v1/sessions/{session_id}/cells", responses=gives(list[CellRow]))
    async def cells(session_id: Id, request: Request) -> Any:
        """List its newest cells in the order they started."""
        return to_wire(await sessions.cells(session_id, reach_of(request)))

    @routes.websocket("/v1/sessions/{session_id}/channel")
    async def channel(session_id: Id, websocket: WebSocket) -> None:
        """Speak with a notebook: see kernel_bridge/protocol/notes.py."""
        await sessions.info(session_id, reach_of(websocket))
        await relay.serve_client(session_id, websocket, partial(watch.over, principal_of(websocket)))

    _verbs(routes, store, sessions)
    return routes


def _check(spec: SessionSpec) -> None:
    """Refuse amounts that no host has; what this host has is the scheduler's to know. Raises BadRequest."""
    for name, amount, limit in (
        ("cpu", spec.cpu, CORES_LIMIT),
        ("memory_bytes", spec.memory_bytes, MEMORY_LIMIT_BYTES),
        ("idle_after_s", spec.idle_after_s, IDLE_LIMIT_S),
    ):
        if not 0 <= amount <= limit:
            raise BadRequest(f"`{name}` wants a number from 0 to {limit:g}.")
    if len(spec.volumes) > THINGS_LIMIT or len(spec.secrets) > THINGS_LIMIT:
        raise BadRequest(f"A session may have {THINGS_LIMIT} volumes and {THINGS_LIMIT} secrets.")


def _verbs(routes: APIRouter, store: Store, sessions: Sessions) -> None:
    @routes.post("/v1/sessions/{session_id}/stop", responses=gives(SessionInfo))
    async def stop(session_id: Id, request: Request) -> Any:
        """Save its state and let its container go; answers when that is done."""
        return to_wire(await sessions.stop(session_id, reach_of(request)))

    @routes.post("/v1/sessions/{session_id}/pin", openapi_extra=takes(Pin), responses=gives(SessionInfo))
    async def pin(session_id: Id, request: Request) -> Any:
        """Keep its container until then, idle or not."""
        wanted = await json_body(request, Pin)
        return to_wire(await sessions.pin(session_id, reach_of(request), wanted.until_s))

    @routes.post("/v1/sessions/{session_id}/layers", openapi_extra=takes(Packages), responses=gives(LayerInfo))
    async def layers(session_id: Id, request: Request) -> Any:
        """Build a layer of these packages; the lines of the build go to the session's channel."""
        wanted = await json_body(request, Packages)
        layer = await sessions.add_layer(session_id, reach_of(request), wanted.requirements, resolve=wanted.resolve)
        await store.run(store.holdings.add, principal_of(request).owner, IMAGE, PurePath(layer.path).name)
        return to_wire(layer)
