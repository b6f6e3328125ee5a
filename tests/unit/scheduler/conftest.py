"""A whole control plane on paper: real store, scheduler and relay; time, host, images and both ends are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.notes import AgentHello, AgentWelcome, Hello, PeerUp, Wake, Welcome
from kernel_bridge.protocol.sessions import Notebook, SessionInfo, SessionSpec, SessionState
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.app import Plane, create_plane
from remote_runtime.arenas import ArenaRoot
from remote_runtime.providers.base import Offer
from remote_runtime.settings import Settings
from remote_runtime.store import Store, sqlite_url
from tests.fakes import FakeClock, FakeImages, FakeProvider, Wire

OWNER = "owner"


@dataclass
class World:
    """The plane and everything around it."""

    plane: Plane
    store: Store
    clock: FakeClock
    provider: FakeProvider
    images: FakeImages
    left: list[str] = field(default_factory=list)
    _serving: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self, **asked: Any) -> SessionInfo:
        """Open a session."""
        return await self.plane.sessions.open(spec(**asked), OWNER)

    async def client(self, session_id: str, **hello: Any) -> Wire:
        """Connect a notebook and take its welcome."""
        wire = Wire()
        self._serve(self.plane.relay.serve_client(session_id, wire.websocket))
        wire.say(Hello(protocol=PROTOCOL, **hello))
        await wire.hear(Welcome)
        return wire

    async def agent(self, container_id: str, **hello: Any) -> Wire:
        """Connect a container's agent and take its welcome."""
        wire = Wire()
        self._serve(self.plane.relay.serve_agent(container_id, wire.websocket))
        hello = {"epoch": "ep_1"} | hello
        wire.say(AgentHello(protocol=PROTOCOL, container_id=container_id, **hello))
        await wire.hear(AgentWelcome)
        return wire

    async def running(self, **asked: Any) -> Running:
        """Open a session and bring it to where a cell can run."""
        info = await self.open(**asked)
        client = await self.client(info.id)
        client.say(Wake())
        return await self.woken(info.id, client)

    async def woken(self, session_id: str, client: Wire) -> Running:
        """Answer as the container that has just been started."""
        config = await self.started(session_id)
        agent = await self.agent(config.container_id, epoch=config.epoch)
        await agent.hear(PeerUp)
        up = await client.hear(PeerUp)
        await self.settled()
        return Running(session_id=session_id, container_id=config.container_id, client=client, agent=agent, up=up)

    async def started(self, session_id: str) -> Any:
        """Wait until the provider was asked for a container of this session; return what it was told."""
        async with asyncio.timeout(5):
            while True:
                for asked in self.provider.started[::-1]:
                    live = self.plane.parts.roster.get(asked.config.container_id)
                    if asked.config.session_id == session_id and live and live.handle and not live.ready.is_set():
                        return asked.config
                await asyncio.sleep(0.005)

    async def settled(self) -> None:
        """Return when what was going on has been written down."""
        for _ in range(5):
            await asyncio.sleep(0.01)
            await self.plane.parts.writes.flushed()
            await self.plane.parts.sayings.flushed()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass and the reconciler look."""
        await self.settled()
        self.clock.advance(seconds)
        await self.plane.reconciler.step()
        await self.settled()

    async def info(self, session_id: str) -> SessionInfo:
        """Return a session as it is now."""
        return await self.plane.sessions.info(session_id)

    async def closed(self, session_id: str) -> None:
        """Wait until a session is over."""
        async with asyncio.timeout(5):
            while (await self.info(session_id)).state is not SessionState.CLOSED:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _serve(self, work: Any) -> None:
        self._serving.append(asyncio.get_running_loop().create_task(work))

    async def hang_up(self) -> None:
        """Cut every connection."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


@dataclass
class Running:
    """A session whose two ends are connected."""

    session_id: str
    container_id: str
    client: Wire
    agent: Wire
    up: PeerUp


Story = Callable[[World], Awaitable[None]]


def spec(kernel_id: str = "kernel-1", **asked: Any) -> SessionSpec:
    """Return what a notebook asks for."""
    notebook = asked.pop("notebook", Notebook(kernel_id=kernel_id, python="3.11"))
    asked = {"gpu": "A100", "image": ImageRecipe(python="3.11")} | asked
    return SessionSpec(notebook=notebook, **asked)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def play(directory: Path) -> Callable[..., None]:
    """Run a story in a world; `settings` override the operator's, and a second story finds the first one's store."""

    def run(
        story: Story, provider: FakeProvider | None = None, clock: FakeClock | None = None, **settings: Any
    ) -> None:
        asyncio.run(_play(story, directory, provider, clock or FakeClock(), settings))

    return run


async def _play(
    story: Story, directory: Path, provider: FakeProvider | None, clock: FakeClock, settings: dict[str, Any]
) -> None:
    provider = provider or FakeProvider(Offer(card="A100", total=1, simulated=True), clock=clock)
    async with world(directory, provider, clock, settings) as made:
        await story(made)


@asynccontextmanager
async def world(
    directory: Path, provider: FakeProvider, clock: FakeClock, settings: dict[str, Any]
) -> AsyncIterator[World]:
    chosen = replace(Settings(data_dir=directory / "data", runtime_dir=directory / "run", tick_s=3600.0), **settings)
    store = Store.open(sqlite_url(directory / "store.sqlite3"), clock, chosen.data_dir)
    arena = ArenaRoot(path=directory / "arena", kind="files")
    images, left = FakeImages(), list[str]()
    plane = create_plane(
        chosen,
        store,
        arena,
        control_url="unix:/nowhere",
        leave=lambda: left.append("left"),
        clock=clock,
        provider=provider,
        images=images,
    )
    made = World(plane, store, clock, provider, images, left)
    try:
        async with plane.app.router.lifespan_context(plane.app):
            await asyncio.sleep(0)
            yield made
            await made.hang_up()
    finally:
        store.close()
