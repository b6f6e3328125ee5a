"""Images: which recipes were asked for, build one, read its log."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse

from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, owner_of, owners_of, reach_of
from remote_runtime.api.bodies import json_body
from remote_runtime.api.description import Digest, gives, takes
from remote_runtime.images.builder import Builder
from remote_runtime.images.records import ImageStatus
from remote_runtime.store.holdings import IMAGE
from remote_runtime.store.store import Store


def router(store: Store, builder: Builder, gate: Gate) -> APIRouter:
    """Make the routes of images."""
    routes = APIRouter(dependencies=[Depends(gate.person)])

    @routes.get("/v1/images", responses=gives(list[ImageStatus]))
    def listed(request: Request) -> Any:
        """List the recipes its caller asked for, the latest first."""
        return to_wire(_of(store, builder, owners_of(request)))

    @routes.post("/v1/images", openapi_extra=takes(ImageRecipe))
    async def build(request: Request) -> dict[str, Any]:
        """Build a recipe, or find it built; answers when it is ready."""
        recipe = await json_body(request, ImageRecipe)
        await store.run(store.holdings.add, owner_of(request), IMAGE, recipe.digest)  # also of one that fails
        ready = await builder.environment(recipe, _ignore)
        return {"digest": recipe.digest, "state": "ready", "cached": ready.cached, "seconds": ready.seconds}

    @routes.get("/v1/images/{digest}/log", response_class=PlainTextResponse)
    def log(digest: Digest, request: Request) -> PlainTextResponse:
        """Show the log of a build, which is there while it is under way, too."""
        owner = reach_of(request)
        if owner is not None and digest not in _known(store, builder, owner):
            raise NotFound(f"No image {digest[:12]} was built here.")
        return PlainTextResponse(builder.log(digest))

    return routes


def _of(store: Store, builder: Builder, owner: str | None) -> list[ImageStatus]:
    if owner is None:
        return builder.images()
    known = store.holdings.digests(owner, IMAGE)
    return [image for image in builder.images() if image.digest in known]


def _known(store: Store, builder: Builder, owner: str) -> set[str]:
    """Return what logs are asked for by: recipes, layers, and the environments of these recipes."""
    environments = (image.environment for image in _of(store, builder, owner))
    return {*store.holdings.digests(owner, IMAGE), *environments}


def _ignore(line: str) -> None:
    """The log keeps it."""
