"""A control plane on paper with notebooks and agents that behave as they are told, driven step by step from a test."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.notes import AgentHello, Goodbye, Heartbeat, Hello, Hibernate, Saved, Stop, Wake
from kernel_bridge.protocol.sessions import ContainerState, Notebook, SessionState
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.app import Plane
from remote_runtime.providers.base import ContainerSpec, Handle, Offer, Phase, Status
from remote_runtime.store import Store
from remote_runtime.store.database import Database
from remote_runtime.store.trouble import TryAgain
from tests.fakes import FakeClock, FakeProvider, Wire, reply, request
from tests.unit.scheduler.conftest import OWNER, World, spec, world

CARDS: Final = {"A100": 2, "H100": 1}
_COMING_UP: Final = (ContainerState.BUILDING, ContainerState.STARTING)
_FAILURES: Final = (CellburstError, OSError)
_WAIT_S: Final = 20.0

Interval = tuple[float, float | None]


class Unreliable(FakeProvider):
    """A provider whose next calls may fail, and which remembers what it said."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(*(Offer(card=card, total=total, simulated=True) for card, total in CARDS.items()), clock=clock)
        self.calls_to_fail = 0

    async def start(self, asked: ContainerSpec) -> Handle:
        self._fail()
        return await super().start(asked)

    async def poll(self, handle: Handle) -> Status:
        self._fail()
        return await super().poll(handle)

    async def stop(self, handle: Handle) -> None:
        self._fail()
        await super().stop(handle)

    def alive(self) -> set[str]:
        """Return the containers that run."""
        return set(self._alive)

    def running(self) -> list[ContainerSpec]:
        """Return what those were asked to be."""
        return [asked for asked in self.started if asked.config.container_id in self._alive]

    def die(self, container_id: str, *, exit_file: bool) -> None:
        """End a container; without an exit file nobody will know when."""
        self.end(container_id, "it was killed (SIGKILL)")
        if not exit_file:
            self._ended[container_id] = Status(phase=Phase.GONE, cause="killed")

    def said_end(self, container_id: str) -> float | None:
        """Return when a container ended, as far as it can be known."""
        ended = self._ended.get(container_id)
        return ended.ended_at_s if ended else None

    def _fail(self) -> None:
        if self.calls_to_fail:
            self.calls_to_fail -= 1
            raise OSError("the provider cannot be reached")


class Faults:
    """Makes writes of a database fail."""

    def __init__(self) -> None:
        self.writes_to_fail = 0

    def spoil(self, database: Database) -> None:
        """Have this database fail when it is told to."""
        writing = database.writing

        @contextmanager
        def unreliable() -> Iterator[Any]:
            if self.writes_to_fail:
                self.writes_to_fail -= 1
                raise TryAgain("The runtime's database does not answer: database is locked.")
            with writing() as connection:
                yield connection

        database.writing = unreliable  # type: ignore[method-assign]


@dataclass
class Agent:
    """The agent of one container and the cells it runs."""

    kernel: str
    container_id: str
    epoch: str
    wire: Wire | None = None
    cells: dict[str, list[float | None]] = field(default_factory=dict)  # running
    done: list[list[float | None]] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)  # replies the control plane was not there for
    saved: bool = False


class Host:
    """Everything a walk touches. Its methods are called from the test's thread and return when all is quiet."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.provider = Unreliable(self.clock)
        self.faults = Faults()
        self.moods: dict[str, str] = {}
        self.sessions: dict[str, str] = {}  # kernel -> session
        self.sessions_ever: list[str] = []
        self.agents: dict[str, Agent] = {}  # by container
        self.blurred: set[str] = set()  # a fault keeps their true times from the control plane
        self._clients: dict[str, Wire] = {}
        self._numbers = itertools.count(1)
        self._folder = folder
        self._world: World
        self._up = threading.Event()
        self._over: asyncio.Event
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._serving: Any = None
        self._begin()

    # -- what the checks look at ------------------------------------------------------------------------------------

    @property
    def plane(self) -> Plane:
        return self._world.plane

    @property
    def store(self) -> Store:
        return self._world.store

    @property
    def unwell(self) -> bool:
        """Tell whether a fault is still to come."""
        return bool(self.faults.writes_to_fail or self.provider.calls_to_fail)

    def intervals(self, container_id: str) -> list[Interval]:
        """Return when a container's cells really ran."""
        agent = self.agents.get(container_id)
        pairs = [*agent.done, *agent.cells.values()] if agent else []
        return [(float(begun or 0.0), ended) for begun, ended in pairs]

    # -- what may happen --------------------------------------------------------------------------------------------

    def wake(self, kernel: str, gpu: str) -> None:
        if self._standing(kernel) is None and not self._open(kernel, gpu):
            return
        self._connect(kernel)
        self._clients[kernel].say(Wake())
        self._settle()

    def begin_cell(self, kernel: str) -> None:
        agent, client = self._agent_of(kernel), self._clients.get(kernel)
        if agent is None or agent.wire is None or client is None:
            return
        cell = f"cell-{next(self._numbers)}"
        client.send(request(1, cell))
        self._settle()
        if agent.wire is not None and agent.wire.messages():
            agent.wire.sent.clear()
            agent.cells[cell] = [self.clock.now(), None]

    def end_cell(self, kernel: str, *, twice: bool) -> None:
        if agent := self._agent_of(kernel):
            for cell in [*agent.cells][:1] * (1 + twice):
                self._finish(agent, cell)
        self._settle()

    def pass_time(self, seconds: float) -> None:
        if abs(seconds) >= 3600:
            self.blurred |= self.provider.alive()
        self.clock.advance(seconds)
        for agent in self._alive_agents():
            if agent.wire is not None:
                agent.wire.say(Heartbeat(busy=bool(agent.cells)))
        self._settle(look=True)

    def stop(self, kernel: str) -> None:
        if session := self._standing(kernel):
            self._ask(self.plane.sessions.stop(session, OWNER))

    def reset(self, kernel: str) -> None:
        if session := self._standing(kernel):
            self._ask(self.plane.sessions.reset(session, OWNER))

    def pin(self, kernel: str, *, on: bool) -> None:
        if session := self._standing(kernel):
            until_s = self.clock.now() + 5000.0 if on else None
            self._ask(self.plane.sessions.pin(session, OWNER, until_s))

    def leave(self, kernel: str, *, goodbye: bool) -> None:
        if client := self._clients.pop(kernel, None):
            if goodbye:
                client.say(Goodbye())
            client.hang_up()
        self._settle(look=True)

    def drop_agent(self, kernel: str) -> None:
        agent = self._agent_of(kernel)
        if agent is not None and agent.wire is not None:
            agent.wire.hang_up()
            agent.wire = None
        self._settle()

    def dial_agent(self, kernel: str) -> None:
        if agent := self._agent_of(kernel):
            self._dial(agent)
        self._settle()

    def kill_container(self, kernel: str, *, noticed: bool, exit_file: bool) -> None:
        agent = self._agent_of(kernel)
        if agent is None:
            return
        if not exit_file:
            self.blurred.add(agent.container_id)
        self.provider.die(agent.container_id, exit_file=exit_file)
        if agent.wire is not None and noticed:
            agent.wire.hang_up()
        agent.wire = None
        self._settle(look=noticed)

    def restart(self, *, clean: bool) -> None:
        if not clean:
            self.blurred |= self.provider.alive()
            self.faults.writes_to_fail = self.provider.calls_to_fail = 10**9
        else:
            self.heal()
        self._end(clean=clean)
        self.faults.writes_to_fail = self.provider.calls_to_fail = 0
        self._clients.clear()
        self._begin()
        for agent in self._alive_agents():
            self._dial(agent)
        self._settle()

    def heal(self) -> None:
        self.faults.writes_to_fail = self.provider.calls_to_fail = 0
        self._settle(look=True)

    def end_all(self) -> None:
        """Reset every session, and look until nothing is left."""
        for session in list(self.sessions_ever):
            self._ask(self.plane.sessions.reset(session, OWNER))
        for _ in range(3):
            self._settle(look=True)

    def close(self) -> None:
        self._end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT_S)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    # -- how it is done ---------------------------------------------------------------------------------------------

    def _call(self, work: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(_WAIT_S)

    def _begin(self) -> None:
        self._up.clear()
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(), self._loop)
        while not self._up.wait(0.05):
            if self._serving.done():
                self._serving.result()

    def _end(self, *, clean: bool = True) -> None:
        if not clean:  # a process that is killed writes nothing more

            async def instantly() -> None:
                return None

            self.plane.parts.writes.flushed = instantly  # type: ignore[method-assign]
        self._loop.call_soon_threadsafe(self._over.set)
        self._serving.result(_WAIT_S)

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        async with world(self._folder, self.provider, self.clock, {}) as self._world:
            self.faults.spoil(self.store.database)
            self._up.set()
            await self._over.wait()

    def _standing(self, kernel: str) -> str | None:
        session = self.sessions.get(kernel)
        if session is None or self.store.sessions.get(session).state is SessionState.CLOSED:
            return None
        return session

    def _open(self, kernel: str, gpu: str) -> bool:
        asked = spec(kernel, gpu=gpu, notebook=Notebook(kernel_id=f"{kernel}-{gpu}", python="3.11"))
        try:
            info = self._call(self.plane.sessions.open(asked, OWNER))
        except _FAILURES:
            return False
        self.sessions[kernel] = info.id
        if info.id not in self.sessions_ever:
            self.sessions_ever.append(info.id)
        if older := self._clients.pop(kernel, None):
            older.hang_up()
        return True

    def _connect(self, kernel: str) -> None:
        async def connect() -> Wire:
            wire = Wire()
            self._world._serve(self.plane.relay.serve_client(self.sessions[kernel], wire.websocket))
            wire.say(Hello(protocol=PROTOCOL))
            return wire

        if kernel not in self._clients or self._clients[kernel].closed is not None:
            self._clients[kernel] = self._call(connect())

    def _dial(self, agent: Agent) -> None:
        async def dial() -> Wire:
            wire = Wire()
            self._world._serve(self.plane.relay.serve_agent(agent.container_id, wire.websocket))
            hello = AgentHello(
                protocol=PROTOCOL, container_id=agent.container_id, epoch=agent.epoch, busy=bool(agent.cells)
            )
            wire.say(hello)
            return wire

        agent.wire = self._call(dial())
        unsent, agent.unsent = agent.unsent, []
        for cell in unsent:
            agent.wire.send(reply(1, cell))

    def _agent_of(self, kernel: str) -> Agent | None:
        mine = [agent for agent in self._alive_agents() if agent.kernel == kernel]
        return mine[-1] if mine else None

    def _alive_agents(self) -> list[Agent]:
        alive = self.provider.alive()
        return [agent for agent in self.agents.values() if agent.container_id in alive]

    def _finish(self, agent: Agent, cell: str) -> None:
        if cell in agent.cells:
            begun, _ = agent.cells.pop(cell)
            agent.done.append([begun, self.clock.now()])
        if agent.wire is None:
            self.blurred.add(agent.container_id)  # its end will be known when it is told
            agent.unsent.append(cell)
        else:
            agent.wire.send(reply(1, cell))

    def _ask(self, work: Coroutine[Any, Any, Any]) -> None:
        """Ask for something that waits for agents; what is refused is refused."""
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        deadline_s = time.monotonic() + _WAIT_S
        while not asked.done():
            self._settle()
            assert time.monotonic() < deadline_s, "it is never answered"
        with suppress(*_FAILURES):
            asked.result()

    def _settle(self, *, look: bool = False) -> None:
        """Let everybody do what they have to do, until nobody has anything to do."""
        if look:
            with suppress(*_FAILURES):
                self._call(self.plane.reconciler.step())
        for _ in range(20):
            self._call(self._quiet())
            if self.unwell:
                self.blurred |= self.provider.alive()
            if not (self._meet_new() | self._answer()):
                return
        raise AssertionError("it never comes to rest")

    async def _quiet(self) -> None:
        parts = self.plane.parts
        deadline_s = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline_s:
            for _ in range(12):
                await parts.store.run(int)
                await asyncio.to_thread(int)
            await parts.writes.flushed()
            await parts.sayings.flushed()
            if not any(self._at_work(live) for live in parts.roster):
                return
            await asyncio.sleep(0.001)

    def _at_work(self, live: Any) -> bool:
        """Tell whether something goes on about a container that ends or begins without us."""
        if live.is_ending:
            waits_for_us = live.saved is not None and not live.saved.done() and self._must_answer(live.id)
            return not waits_for_us
        return live.state in _COMING_UP and live.handle is None

    def _must_answer(self, container_id: str) -> bool:
        agent = self.agents.get(container_id)
        return agent is not None and agent.wire is not None and not agent.saved

    def _meet_new(self) -> bool:
        """Have the agents of containers that were just started dial in."""
        new = [asked.config for asked in self.provider.running() if asked.config.container_id not in self.agents]
        for config in new:
            [kernel] = [name for name, session in self.sessions.items() if session == config.session_id] or [""]
            agent = self.agents[config.container_id] = Agent(kernel, config.container_id, config.epoch)
            self._dial(agent)
        return bool(new)

    def _answer(self) -> bool:
        """Have agents do what they were told: save, or end."""
        acted = False
        for agent in self._alive_agents():
            heard = [] if agent.wire is None else agent.wire.notes()
            if agent.wire is not None:
                told_off = agent.wire.closed is not None
                agent.wire.sent = [data for data in agent.wire.sent if data[0] == 0]
                if told_off or any(isinstance(note, Stop) for note in heard):
                    self.provider.end(agent.container_id, "stopped")
                    agent.wire, acted = None, True
                elif any(isinstance(note, Hibernate) for note in heard):
                    self._save(agent)
                    acted = True
        return acted

    def _save(self, agent: Agent) -> None:
        for cell in [*agent.cells]:
            self._finish(agent, cell)  # interrupted
        mood = self.moods.pop(agent.kernel, "saves")
        agent.saved = mood != "cannot"
        if agent.wire is not None and mood != "is silent":
            failed = "OSError: no space left on device" if mood == "cannot" else ""
            agent.wire.say(Saved(names=("model",), lost={}, size_bytes=10, epoch=agent.epoch, failed=failed))
