"""The one loop that looks at what is there, decides, acts and writes down what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from kernel_bridge.errors import StoreUnavailable
from kernel_bridge.protocol.resources import CardChoice, GpuRequest
from kernel_bridge.protocol.sessions import ContainerState, SessionState
from remote_runtime.providers import host
from remote_runtime.providers.base import Phase, Status
from remote_runtime.scheduler.census import CensusTaker
from remote_runtime.scheduler.ending import Ender
from remote_runtime.scheduler.idle import Fate, Verdict, verdicts
from remote_runtime.scheduler.lifecycle import READY
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.roster import Live
from remote_runtime.scheduler.sessions import Sessions
from remote_runtime.scheduler.starting import idle_after_s
from remote_runtime.store.rows import ContainerRow

log = logging.getLogger(__name__)

_JUMP_S: Final = 5.0  # a clock that is off by less is being slewed, or was read late

COSTS_EVERY_S: Final = 10.0  # where somebody listens


class Reconciler:
    """Brings what is there to what should be."""

    def __init__(self, parts: Parts, ender: Ender, sessions: Sessions, leave: Callable[[], None]) -> None:
        self._parts = parts
        self._census = CensusTaker(parts)
        self._ender = ender
        self._sessions = sessions
        self._leave = leave
        self._nudged = asyncio.Event()
        self._quiet_since_s: float | None = None
        self._asking = 0  # requests that are being answered
        self._told_costs_at_s = 0.0
        self.round_at_s = parts.clock.monotonic()  # when the last round ended, failed or not

    async def run(self) -> None:
        """Look every tick, and at once when nudged, for ever: the body of an owned task."""
        while True:
            try:
                await self.step()
            except StoreUnavailable as error:  # a line a round, not a page
                log.error("%s", error)
            except Exception:  # one bad round must not be the last
                log.exception("a round of the reconciler failed")
            self.round_at_s = self._parts.clock.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._parts.settings.tick_s):  # wait_for of 3.11 can lose a cancellation
                    await self._nudged.wait()
            self._nudged.clear()

    def nudge(self) -> None:
        """Have it look now: something went away."""
        self._nudged.set()

    async def adopt(self) -> None:
        """Take over what an earlier control plane left: containers that run go on, the others end when they ended."""
        store = self._parts.store
        for session in await store.run(store.sessions.list):
            self._parts.herald.feed.belongs(session.id, session.owner)
            if session.simulated:  # declared to an earlier runtime; its session still counts on it
                self._parts.inventory.simulate(GpuRequest((CardChoice(session.card, session.card_count),)))
        for row in await store.run(store.containers.live):
            await self._adopt(row)
        await store.run(self._parts.accounts.settle_all)

    async def step(self) -> None:
        """Do one round. What fails about one container is tried again in the next, and keeps no other waiting."""
        await self._follow_clock()
        for live in self._parts.roster:
            live.not_after(self._parts.clock.now())
            for work in (self._look, self._write_down):
                try:
                    await work(live)
                except StoreUnavailable as error:
                    log.error("%s", error, extra={"container_id": live.id})
                except Exception:  # a provider that cannot be reached, a database that is locked
                    log.exception("a round of the reconciler failed for a container", extra={"container_id": live.id})
        seen = [
            live.seen(kernel_gone=self._kernel_gone(live))
            for live in self._parts.roster
            if live.is_ready and live.ending is None
        ]
        for verdict in verdicts(seen, self._parts.clock.now(), self._parts.settings.orphan_after_s):
            self._carry_out(verdict)
        await self._forget_expired()
        await self._tell_listeners()
        self._leave_if_nothing_is_left()

    async def _follow_clock(self) -> None:
        """Where the time of day was set, move the times of what runs with it: its age is what it was."""
        should_be_s, jump_s = self._parts.clock.now(), self._parts.clock.follow()
        if abs(jump_s) > _JUMP_S:
            log.warning("the clock was set by %+.0f s: the times of what runs move with it", jump_s)
            for live in self._parts.roster:  # before anything else happens: what is noted from here on is in new time
                live.shift(jump_s)
            await self._parts.store.run(self._parts.store.containers.shift_live, jump_s, should_be_s)

    async def _look(self, live: Live) -> None:
        """Notice a container that has gone, or that has not been heard of for too long."""
        if live.ending is not None and not live.is_ending:
            self._ender.again(live)
            return
        if live.handle is None or live.state not in (*READY, ContainerState.HIBERNATING) or live.over.is_set():
            return
        provider = self._parts.providers[live.row.provider]
        status = await provider.poll(live.handle)
        silent_s = self._parts.clock.now() - live.heard_at_s
        if status.phase is Phase.GONE:
            self._ender.gone(live, status)
        elif not live.agent_connected and silent_s > self._parts.settings.runtime_lost_after_s:
            self._ender.kill(live, f"nothing was heard of it for {silent_s:.0f} s")

    async def _write_down(self, live: Live) -> None:
        """Note whether it is busy and since when it is not: once a round, for cells come faster than anyone asks."""
        store = self._parts.store
        if live.unwritten and live.is_ready:
            live.unwritten = False
            try:
                await store.run(store.containers.move, live.id, live.state, live.row.fence)
                await store.run(store.sessions.touch, live.session_id, live.idle_since_s)
            except BaseException:
                live.unwritten = True
                raise

    def _carry_out(self, verdict: Verdict) -> None:
        live = self._parts.roster.get(verdict.container_id)
        if live is None:
            return
        if verdict.fate is Fate.HIBERNATE:
            self._ender.hibernate(live, verdict.why)
        else:
            self._parts.tasks.spawn(
                self._sessions.close(verdict.session_id, verdict.why), f"close {verdict.session_id}"
            )

    def _kernel_gone(self, live: Live) -> bool:
        notebook = live.spec.notebook
        here = bool(notebook.pid) and notebook.boot_id == host.boot_id()
        return here and live.client_gone_since_s is not None and not host.process_exists(notebook.pid)

    async def _forget_expired(self) -> None:
        store = self._parts.store
        for session in await store.run(store.sessions.expired, self._parts.clock.now()):
            if self._parts.roster.of(session.id) is not None:
                continue  # it wakes just now
            await self._sessions.expire(session)  # the janitor closes it, unless its notebook is there

    async def _tell_listeners(self) -> None:
        """Where somebody listens, say what cards are free and, every now and then, what containers cost so far."""
        parts = self._parts
        if not len(parts.herald.feed):
            return
        parts.herald.cards(await self._census.cards())
        if abs(parts.clock.now() - self._told_costs_at_s) >= COSTS_EVERY_S:
            self._told_costs_at_s = parts.clock.now()
            for session_id in {live.session_id for live in parts.roster}:
                parts.herald.cost(session_id, await parts.store.run(parts.accounts.spent_microusd, session_id))

    def _leave_if_nothing_is_left(self) -> None:
        """An embedded runtime goes away when no container lives and no notebook is connected for a while."""
        if not self._parts.settings.embedded:
            return
        now_s = self._parts.clock.now()
        if len(self._parts.roster) or self._parts.lines.clients() or self._asking:
            self._quiet_since_s = None
        elif self._quiet_since_s is None or self._quiet_since_s > now_s:  # else the clock was set back
            self._quiet_since_s = now_s
        elif now_s - self._quiet_since_s >= self._parts.settings.linger_s:
            log.info("nothing is left: good bye")
            self._leave()

    def stir(self, more: int) -> None:
        """So many more are asking for something: when none is, the time until an embedded runtime leaves begins."""
        self._asking += more
        self._quiet_since_s = None

    async def _adopt(self, row: ContainerRow) -> None:
        parts, store = self._parts, self._parts.store
        claimed = await store.run(store.containers.claim, row.id) or row
        session = await store.run(store.sessions.get, row.session_id)
        live = Live(
            row=claimed,
            spec=session.spec,
            idle_after_s=idle_after_s(session.spec.idle_after_s, parts.settings.idle_after_s),
            owner=session.owner,
        )
        live.handle, live.state, live.started_at_s = row.handle, row.state, row.started_at_s
        live.pinned_until_s = session.pinned_until_s
        live.client_gone_since_s = parts.clock.now()
        live.heard_at_s = row.heartbeat_at_s or row.started_at_s or row.created_at_s
        parts.roster.add(live)
        status = await self._status(live)
        if session.state is SessionState.CLOSED:
            await self._sessions.close(session.id, "its session was closed")
        elif status.phase is Phase.GONE:
            await self._ender.gone(live, status)
        elif live.is_ready or live.state is ContainerState.HIBERNATING:
            await self._go_on(live)
        else:
            await self._ender.kill(live, "the control plane ended while it started")

    async def _go_on(self, live: Live) -> None:
        """Its agent will dial in again; until then it is as it was."""
        store, now_s = self._parts.store, self._parts.clock.now()
        log.info("container is adopted", extra={"container_id": live.id, "session_id": live.session_id})
        live.heard_at_s = now_s
        for cell in await store.run(store.cells.running, live.session_id):
            live.running[cell.id] = cell.started_at_s
        live.idle_since_s = None if live.running else now_s
        live.state = ContainerState.BUSY if live.running else ContainerState.IDLE
        live.tell()

    async def _status(self, live: Live) -> Status:
        if live.handle is None:
            return Status(phase=Phase.GONE, cause="the control plane ended while it started")
        return await self._parts.providers[live.row.provider].poll(live.handle)
