"""Images: which recipes were asked for, build one, look into it, take it elsewhere, let it go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from kernel_bridge.errors import Conflict, NotFound
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.sessions import SessionState
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, owner_of, owners_of, reach_of
from remote_runtime.api.bodies import json_body
from remote_runtime.api.description import Digest, gives, gives_bytes, takes
from remote_runtime.images.builder import Builder
from remote_runtime.images.catalogue import Catalogue
from remote_runtime.images.dockerfile import build_context
from remote_runtime.images.engine_builder import Asker
from remote_runtime.images.records import Environment, ImageStatus
from remote_runtime.secrets.service import Secrets
from remote_runtime.store.holdings import IMAGE
from remote_runtime.store.store import Store


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes ask, and what keeps one person's images from another's eyes."""

    store: Store
    builder: Builder
    secrets: Secrets

    @property
    def catalogue(self) -> Catalogue:
        """What is known of images."""
        return self.builder.catalogue

    def known(self, request: Request, digest: str) -> str:
        """Return a digest that the caller asked for; raises NotFound."""
        owner = reach_of(request)
        if owner is not None and digest not in _known(self.store, self.builder, owner):
            raise NotFound(f"No image {digest[:12]} was built here.")
        return digest

    async def build(self, owner: str, recipe: ImageRecipe) -> Environment:
        """Build for somebody, with the values of that person's secrets."""
        run = self.store.run
        await run(self.store.holdings.add, owner, IMAGE, recipe.digest)  # also of one that fails
        given = await run(self.secrets.of(owner).environment, recipe.secrets) if recipe.secrets else {}
        return await self.builder.environment(recipe, _ignore, Asker(owner, given))

    async def release(self, owner: str, digest: str) -> None:
        """Let go of an image; raises Conflict while a session of this person has it."""
        for row in await self.store.run(self.store.sessions.list):
            if row.spec.image.digest == digest and row.owner == owner and row.state is not SessionState.CLOSED:
                raise Conflict(f"The session {row.id} has this image: `%gpu_stop` it, or wait until it is over.")
        await self.store.run(self.store.holdings.release, owner, IMAGE, digest)
        if not await self.store.run(self.store.holdings.is_held, IMAGE, digest):
            self.catalogue.forget(digest)


def router(store: Store, builder: Builder, secrets: Secrets, gate: Gate) -> APIRouter:
    """Make the routes of images."""
    routes = APIRouter(dependencies=[Depends(gate.person)])
    desk = Desk(store, builder, secrets)
    _add_reading(routes, desk)
    _add_exports(routes, desk)

    @routes.post("/v1/images", openapi_extra=takes(ImageRecipe))
    async def build(request: Request) -> dict[str, Any]:
        """Build a recipe, or find it built; answers when it is ready."""
        recipe = await json_body(request, ImageRecipe)
        ready = await desk.build(owner_of(request), recipe)
        return {"digest": recipe.digest, "state": "ready", "cached": ready.cached, "seconds": ready.seconds}

    @routes.delete("/v1/images/{digest}")
    async def remove(digest: Digest, request: Request) -> dict[str, Any]:
        """Forget an image; what it was made of goes when nobody else needs it. None of its sessions may stand."""
        await run_in_threadpool(desk.known, request, digest)
        await desk.release(owner_of(request), digest)
        return {"digest": digest}

    @routes.post("/v1/images/prune", dependencies=[Depends(gate.admin)])
    async def prune() -> dict[str, Any]:
        """Remove the engine's images that no recipe is made of any more."""
        return {"removed": await desk.catalogue.prune()}

    return routes


def _add_reading(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/v1/images", responses=gives(list[ImageStatus]))
    def listed(request: Request) -> Any:
        """List the recipes its caller asked for, the latest first, with their sizes."""
        return to_wire(desk.catalogue.with_sizes(_of(desk.store, desk.builder, owners_of(request))))

    @routes.get("/v1/images/{digest}", responses=gives(ImageRecipe))
    def recipe(digest: Digest, request: Request) -> Any:
        """Show a recipe."""
        return to_wire(desk.catalogue.recipe(desk.known(request, digest)))

    @routes.get("/v1/images/{digest}/log", response_class=PlainTextResponse)
    def log(digest: Digest, request: Request) -> PlainTextResponse:
        """Show the log of a build, which is there while it is under way, too."""
        return PlainTextResponse(desk.catalogue.log(desk.known(request, digest)))


def _add_exports(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/v1/images/{digest}/context", responses=gives_bytes())
    def context(digest: Digest, request: Request) -> Response:
        """Export a recipe as a Dockerfile and what it reads: a tar archive that `docker build -` takes."""
        packed = build_context(desk.catalogue.recipe(desk.known(request, digest)))
        return Response(packed, media_type="application/octet-stream")

    @routes.get("/v1/images/{digest}/lock", response_class=PlainTextResponse)
    async def lock(digest: Digest, request: Request) -> PlainTextResponse:
        """Export what is installed in an image, as exact requirements."""
        known = await run_in_threadpool(desk.known, request, digest)
        return PlainTextResponse(await desk.catalogue.lock(known))


def _of(store: Store, builder: Builder, owner: str | None) -> list[ImageStatus]:
    if owner is None:
        return builder.catalogue.images()
    known = store.holdings.digests(owner, IMAGE)
    return [image for image in builder.catalogue.images() if image.digest in known]


def _known(store: Store, builder: Builder, owner: str) -> set[str]:
    """Return what logs are asked for by: recipes, layers, and the environments of these recipes."""
    environments = (image.environment for image in _of(store, builder, owner))
    return {*store.holdings.digests(owner, IMAGE), *environments}


def _ignore(line: str) -> None:
    """The log keeps it."""
