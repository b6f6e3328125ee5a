"""Images: which recipes were asked for, build one, read its log."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate
from remote_runtime.api.bodies import json_body
from remote_runtime.images.builder import Builder


def router(builder: Builder, gate: Gate) -> APIRouter:
    """Make the routes of images."""
    routes = APIRouter(dependencies=[Depends(gate.person)])

    @routes.get("/v1/images")
    def listed() -> Any:
        """List the recipes this host was asked for, the latest first."""
        return to_wire(builder.images())

    @routes.post("/v1/images")
    async def build(request: Request) -> dict[str, Any]:
        """Build a recipe, or find it built; answers when it is ready."""
        recipe = await json_body(request, ImageRecipe)
        ready = await builder.environment(recipe, _ignore)
        return {"digest": recipe.digest, "state": "ready", "cached": ready.cached, "seconds": ready.seconds}

    @routes.get("/v1/images/{digest}/log")
    def log(digest: str) -> PlainTextResponse:
        """Show the log of a build, which is there while it is under way, too."""
        return PlainTextResponse(builder.log(digest))

    return routes


def _ignore(line: str) -> None:
    """The log keeps it."""
