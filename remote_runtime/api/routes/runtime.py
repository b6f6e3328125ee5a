"""The runtime itself: what it is, what it has, and how to end it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request

from kernel_bridge.protocol.resources import parse_gpu
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate
from remote_runtime.api.bodies import json_body
from remote_runtime.api.description import gives, takes
from remote_runtime.scheduler.about import About, RuntimeInfo


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards to simulate, as `A100:2,H100`."""

    cards: str


def router(about: About, stop: Callable[[], Awaitable[None]], gate: Gate) -> APIRouter:
    """Make the routes of the runtime. `stop` saves what runs and then has the process end."""
    routes = APIRouter()
    person, admin = [Depends(gate.person)], [Depends(gate.admin)]

    @routes.get("/v1/runtime", dependencies=person, responses=gives(RuntimeInfo))
    async def runtime() -> Any:
        """Say what this runtime is and has."""
        return to_wire(await about.runtime())

    @routes.post("/v1/runtime/simulate", dependencies=admin, openapi_extra=takes(Cards), responses=gives(RuntimeInfo))
    async def simulate(request: Request) -> Any:
        """Declare simulated cards, at least so many; the same again changes nothing."""
        wanted = await json_body(request, Cards)
        about.simulate(parse_gpu(wanted.cards))
        return to_wire(await about.runtime())

    @routes.post("/v1/runtime/stop", dependencies=admin)
    async def stop_runtime() -> dict[str, str]:
        """Save what runs, let the containers go, answer, and end."""
        await stop()
        return {"status": "stopped"}

    return routes
