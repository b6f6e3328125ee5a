"""The agents' channel: containers dial in, nothing dials them."""

from __future__ import annotations

from fastapi import APIRouter, Depends, WebSocket

from remote_runtime.api.auth import Gate, principal_of
from remote_runtime.api.relay import Relay


def router(relay: Relay, gate: Gate) -> APIRouter:
    """Make the route of agents."""
    routes = APIRouter(dependencies=[Depends(gate.container)])

    @routes.websocket("/v1/agents/channel")
    async def channel(websocket: WebSocket) -> None:
        """Speak with the agent of the container whose token this is."""
        await relay.serve_agent(principal_of(websocket).container_id, websocket)

    return routes
