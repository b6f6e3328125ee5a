"""The composition root: the one function that knows every part of the control plane."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from uv import find_uv_bin

from kernel_bridge.protocol.defaults import DEFAULTS
from remote_runtime.api import failures
from remote_runtime.api.auth import Gate
from remote_runtime.api.relay import Relay
from remote_runtime.api.requests import Requests
from remote_runtime.api.routes import (
    agents,
    blobs,
    events,
    health,
    images,
    logs,
    metrics,
    runtime,
    secrets,
    sessions,
    tokens,
    upkeep,
    usage,
    volumes,
)
from remote_runtime.api.watch import Watch
from remote_runtime.arenas import ArenaRoot
from remote_runtime.billing.accounts import Accounts
from remote_runtime.billing.prices import load_prices
from remote_runtime.clock import Clock, SystemClock
from remote_runtime.images.builder import Builder
from remote_runtime.images.engine import BuildOptions
from remote_runtime.images.engine_builder import EngineBuilder
from remote_runtime.images.pip_config import read_pip_options
from remote_runtime.logs import log_file
from remote_runtime.observability.feed import Feed
from remote_runtime.observability.logbook import Logbook
from remote_runtime.observability.metrics import Metrics
from remote_runtime.providers.base import Provider
from remote_runtime.providers.cages import BuildCage
from remote_runtime.providers.chosen import Chosen, choose
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.registry import Providers
from remote_runtime.release import release
from remote_runtime.scheduler.about import About
from remote_runtime.scheduler.census import CensusTaker
from remote_runtime.scheduler.ending import Ender
from remote_runtime.scheduler.events import Events
from remote_runtime.scheduler.herald import Herald
from remote_runtime.scheduler.janitor import Janitor
from remote_runtime.scheduler.leavings import Leavings
from remote_runtime.scheduler.logs import SessionLogs
from remote_runtime.scheduler.parts import Images, Parts
from remote_runtime.scheduler.placer import Placer
from remote_runtime.scheduler.places import Places
from remote_runtime.scheduler.readiness import Readiness
from remote_runtime.scheduler.reconciler import Reconciler
from remote_runtime.scheduler.roster import Roster
from remote_runtime.scheduler.seat import hold
from remote_runtime.scheduler.sessions import Sessions
from remote_runtime.scheduler.starting import Starter
from remote_runtime.scheduler.tasks import Tasks, WriteBehind
from remote_runtime.secrets.master_key import master_key
from remote_runtime.secrets.service import Secrets
from remote_runtime.settings import Settings
from remote_runtime.store.store import Store
from remote_runtime.volumes.service import Volumes

log = logging.getLogger(__name__)

WRITTEN_WITHIN_S = 20.0
STOP_WITHIN_S = 100.0  # a person waits for it, and clients wait 120 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """A control plane that is put together; `app` is what the world sees of it."""

    app: FastAPI
    parts: Parts
    relay: Relay
    builder: Builder
    sessions: Sessions
    starter: Starter
    ender: Ender
    reconciler: Reconciler
    janitor: Janitor
    watch: Watch

    async def hibernate_all(self) -> None:
        """Save what runs and let every container go, or as many as can in the time there is."""
        for live in self.parts.roster:
            await self.starter.stop(live.session_id)
        endings = [self.ender.hibernate(live, "the runtime stops") for live in self.parts.roster]
        if endings:
            await asyncio.wait(endings, timeout=STOP_WITHIN_S)


def create_plane(
    settings: Settings,
    store: Store,
    arena: ArenaRoot,
    *,
    control_url: str,
    leave: Callable[[], None],
    clock: Clock | None = None,
    provider: Provider | None = None,
    images: Images | None = None,
) -> Plane:
    """Join the parts. Reading this tells what the control plane is made of.

    `control_url` is where agents dial. `leave` asks the process to end. A test brings its own clock, provider, images.
    """
    clock = clock or SystemClock()
    inventory = Inventory(settings.simulate)
    relay = Relay(settings.heartbeat_s)
    herald = Herald(Feed(), Metrics(), clock)
    chosen = None if provider else choose(settings, inventory, clock, arena)
    builder = Builder(
        settings.data_dir,
        pip_options=read_pip_options(settings.own_env),
        uv=find_uv_bin(),
        cage=BuildCage.of(chosen.sandbox) if chosen else None,
        engine=_engine_builder(settings, chosen) if chosen else None,
    )
    parts = Parts(
        settings=settings,
        clock=clock,
        store=store,
        accounts=Accounts(store, clock),
        prices=load_prices(settings.prices),
        secrets=Secrets(store.secrets, master_key(settings)),
        volumes=Volumes(store.volumes, settings.data_dir / "volumes", clock),
        images=images or builder,
        providers=Providers(chosen.providers if chosen else [provider] if provider else []),
        inventory=inventory,
        places=Places(settings.data_dir, arena.path),
        roster=Roster(herald.container),
        lines=relay,
        tasks=Tasks(),
        writes=WriteBehind(delay_s=0.05),
        sayings=WriteBehind(),
        control_url=control_url,
        herald=herald,
    )
    placer = Placer(parts)
    ender = Ender(parts)
    starter = Starter(parts, placer, ender)
    standing = Sessions(parts, placer, starter, ender)
    reconciler = Reconciler(parts, ender, standing, leave)
    relay.listen(Events(parts, starter, standing, reconciler.nudge))
    app = FastAPI(title="Cellburst", version=release(), docs_url=None, redoc_url=None, openapi_url=None)
    plane = Plane(
        app=app,
        parts=parts,
        relay=relay,
        builder=builder,
        sessions=standing,
        starter=starter,
        ender=ender,
        reconciler=reconciler,
        janitor=Janitor(parts, Leavings(parts, builder, standing.close)),
        watch=Watch(store, clock),
    )
    app.router.lifespan_context = _lifespan(plane, leave)
    app.add_middleware(Stirring, stir=reconciler.stir)
    app.add_middleware(Requests, metrics=herald.metrics, clock=clock)
    failures.install(app)
    _add_routes(plane, arena, leave)
    return plane


def _add_routes(plane: Plane, arena: ArenaRoot, leave: Callable[[], None]) -> None:
    parts, store = plane.parts, plane.parts.store
    gate = Gate(store.tokens)

    async def stop() -> None:
        await plane.hibernate_all()
        leave()

    for router in (
        runtime.router(About(parts, release(), arena.kind), stop, gate),
        sessions.router(store, plane.sessions, plane.relay, plane.watch, gate),
        agents.router(plane.relay, gate),
        images.router(store, plane.builder, parts.secrets, gate),
        blobs.router(store, gate, DEFAULTS.blob_limit_bytes),
        volumes.router(store, parts.volumes, parts.prices, gate),
        secrets.router(store, parts.secrets, gate),
        tokens.router(store, gate, plane.watch, parts.clock),
        usage.router(store, parts.accounts, parts.prices, gate),
        upkeep.router(plane.janitor, gate),
        *_watching_routes(plane, gate),
    ):
        plane.app.include_router(router)


def _watching_routes(plane: Plane, gate: Gate) -> tuple[APIRouter, ...]:
    parts, census = plane.parts, CensusTaker(plane.parts)
    logbook = Logbook(log_file(parts.settings.data_dir), parts.settings.runtime_dir / "zygotes")
    stream = events.Stream(parts.herald.feed, census, plane.starter, plane.watch)
    return (
        health.router(Readiness(parts, plane.reconciler)),
        metrics.router(parts.herald.metrics, census, gate),
        events.router(stream, gate),
        logs.router(SessionLogs(parts, plane.sessions, logbook), gate),
    )


def _lifespan(plane: Plane, leave: Callable[[], None]) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    parts = plane.parts

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        """The loops start with the server and are gone before it is."""
        async with parts.tasks as tasks:
            for loop in (parts.writes.drain, parts.sayings.drain):
                tasks.spawn(loop(), loop.__qualname__)
            await plane.reconciler.adopt()
            tasks.spawn(plane.reconciler.run(), "reconciler")
            tasks.spawn(plane.relay.watch(), "relay")
            tasks.spawn(plane.janitor.run(), "janitor")
            tasks.spawn(hold(parts.store, parts.clock, leave), "seat")
            tasks.spawn(plane.watch.run(), "watch")
            yield
            with contextlib.suppress(TimeoutError):  # a database that stays away keeps nobody from ending
                async with asyncio.timeout(WRITTEN_WITHIN_S):
                    await parts.writes.flushed()
        await plane.builder.aclose()
        await parts.providers.close()

    return lifespan


class Stirring:
    """Notices that somebody asked for something, so that an embedded runtime does not leave just then."""

    def __init__(self, app: ASGIApp, stir: Callable[[int], None]) -> None:
        self._app = app
        self._stir = stir

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass everything on as it is: this adds no frame to a websocket's way."""
        if scope["type"] == "http" and scope["path"] != "/v1/events":  # who only looks on keeps nothing awake
            return self._answering(scope, receive, send)
        return self._app(scope, receive, send)

    async def _answering(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A build or an upload may take longer than an embedded runtime lingers."""
        self._stir(1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._stir(-1)


def _engine_builder(settings: Settings, chosen: Chosen) -> EngineBuilder | None:
    """Return what builds images of the engine that containers start in, where there is one."""
    if not chosen.engine_url:
        return None
    options = BuildOptions(
        url=chosen.engine_url,
        pip=read_pip_options(settings.own_env),
        uv=find_uv_bin(),
        scratch=settings.data_dir / "images" / "tmp",
        network=settings.build_network,
        slim=settings.docker_image,
    )
    return EngineBuilder(options, timeout_s=DEFAULTS.build_timeout_s)
