"""Letting go of what nobody needs, now instead of when the janitor next comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request

from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate
from remote_runtime.api.bodies import json_body
from remote_runtime.scheduler.janitor import Janitor


@dataclass(frozen=True, slots=True)
class Prune:
    """How to: a dry run only tells."""

    dry_run: bool = False


def router(janitor: Janitor, gate: Gate) -> APIRouter:
    """Make the route of the runtime's upkeep."""
    routes = APIRouter()

    @routes.post("/v1/runtime/prune", dependencies=[Depends(gate.admin)])
    async def prune(request: Request) -> Any:
        """Remove what is over the budgets or was unused for too long, and say what that was."""
        wanted = await json_body(request, Prune)
        return to_wire({"removed": await janitor.tidy(dry_run=wanted.dry_run)})

    return routes
