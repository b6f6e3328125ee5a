"""How a container ends: saved or not, its end written down once, its card free, its bill closed."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from kernel_bridge.errors import Conflict
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.notes import Hibernate, Progress, Saved
from kernel_bridge.protocol.sessions import ContainerState, SessionState
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.providers.base import Status
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.roster import Live
from remote_runtime.store.tokens import container_scope

log = logging.getLogger(__name__)

SAVE_WITHIN_S: Final = 600.0  # pickling tens of gigabytes to a slow disk
RETURN_WITHIN_S: Final = 20.0  # an agent dials again every few seconds
HIBERNATED: Final = "hibernated"  # the word a notebook is told: nothing it sent and got no answer to was run


class Ender:
    """Ends containers. Every way to end one is single-flight and may be asked for again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def hibernate(self, live: Live, why: str) -> asyncio.Task[None]:
        """Save the state, then let the container go. The task ends when its end is written down, or failed to be."""
        if not live.is_ready and live.state is not ContainerState.HIBERNATING:
            return self.kill(live, why)  # it has no state yet
        if live.ending is None or not live.is_ending:
            # Held from this moment: a cell that slipped in before the task's first step would be interrupted.
            self._parts.lines.hold(live.session_id)
            live.become(ContainerState.HIBERNATING)
            live.ending = self._parts.tasks.spawn(self._hibernate(live, why), f"hibernate {live.id}")
        return live.ending

    def kill(self, live: Live, why: str) -> asyncio.Task[None]:
        """Let the container go without saving; a hibernation under way waits for its state no longer."""
        live.given_up = True
        self._give_up_saving(live, None)
        if live.ending is None or not live.is_ending:
            live.ending = self._parts.tasks.spawn(self._stopped(live, why), f"kill {live.id}")
        return live.ending

    def gone(self, live: Live, status: Status) -> asyncio.Task[None]:
        """Write down the end of a container that its provider no longer knows."""
        saved = saved_at_the_end(status) or said_before(live)
        live.saved = live.saved or asyncio.get_running_loop().create_future()
        self._give_up_saving(live, saved)
        if live.ending is None or not live.is_ending:
            live.ending = self._parts.tasks.spawn(self._after_the_end(live, status, saved), f"end of {live.id}")
        return live.ending

    def again(self, live: Live) -> asyncio.Task[None]:
        """Take up an end that could not be written down: what is not saved yet still is, unless it was given up."""
        saves = live.state is ContainerState.HIBERNATING and not live.given_up and said_before(live) is None
        if saves and not live.kept_silent:
            return self.hibernate(live, "it could not be written down before")
        return self.kill(live, "its end could not be written down before")

    async def killed(self, live: Live, why: str) -> None:
        """Let the container go without saving and return when that is done; raises Conflict when it cannot be."""
        for _ in range(2):  # a hibernation that was under way may just have decided to keep it
            await asyncio.shield(self.kill(live, why))
            if live.over.is_set():
                return
        raise Conflict(f"Container {live.id} could not be ended; the runtime's log says why. Try again.")

    async def failed(self, live: Live, why: str) -> None:
        """Let go of a container that never came up, and return when that is written down, or failed to be."""
        if live.ending is None or not live.is_ending:
            live.ending = self._parts.tasks.spawn(self._failed(live, why), f"failure of {live.id}")
        await asyncio.wait([live.ending])

    async def _failed(self, live: Live, why: str) -> None:
        await self._record(live, await self._release(live), why, ContainerState.FAILED)

    async def _hibernate(self, live: Live, why: str) -> None:
        parts = self._parts
        log.info("hibernates: %s", why, extra=_ids(live))
        live.unsaved = ""
        await parts.store.run(parts.store.containers.move, live.id, live.state, live.row.fence)
        saved = await self._ask_to_save(live)
        if saved is None:
            await self._lose(live, await self._release(live), f"its state could not be saved ({why})")
        elif saved.failed:
            await self._go_on(live, saved.failed)
        else:
            if saved.lost:
                log.warning("%d names could not be kept", len(saved.lost), extra=_ids(live))
            await self._keep(live, await self._release(live), saved)

    async def _go_on(self, live: Live, why: str) -> None:
        """Keep a container whose state could not be saved: it costs, but what is in it is not lost."""
        parts = self._parts
        log.error("it stays, its state cannot be saved: %s", why, extra=_ids(live))
        live.ending = live.saved = live.idle_since_s = None
        live.unsaved = why
        live.given_up = live.kept_silent = False
        live.become(ContainerState.BUSY if live.running else ContainerState.IDLE)
        if not live.running:
            live.rest(parts.clock.now())
        await parts.store.run(parts.store.containers.move, live.id, live.state, live.row.fence)
        await parts.lines.resume(live.session_id)
        await parts.lines.tell_client(live.session_id, Progress(phase="hibernating", text=unsaved_line(why)))

    async def _ask_to_save(self, live: Live) -> Saved | None:
        answer = live.saved = asyncio.get_running_loop().create_future()
        # An agent that is not connected is told when it dials in again, see Events.agent_up.
        heard = await self._parts.lines.tell_agent(live.session_id, Hibernate())
        # Not by a timeout around it: that would cancel the answer, and whoever asks later what it was.
        await asyncio.wait([answer], timeout=SAVE_WITHIN_S if heard else RETURN_WITHIN_S)
        live.kept_silent = not answer.done()
        return answer.result() if answer.done() else None

    async def _keep(self, live: Live, at_s: float, saved: Saved) -> None:
        parts = self._parts
        await parts.store.run(
            parts.store.sessions.set_kept,
            live.session_id,
            names=saved.names,
            size_bytes=saved.size_bytes,
            epoch=saved.epoch,
            until_s=parts.clock.now() + parts.settings.hibernated_kept_s,
            lost=saved.lost,
        )
        row = await parts.store.run(parts.store.sessions.set_state, live.session_id, SessionState.HIBERNATED)
        parts.herald.session(row)
        await self._record(live, at_s, HIBERNATED, ContainerState.STOPPED)

    async def _lose(self, live: Live, at_s: float, why: str) -> None:
        """The session goes on, with an empty namespace if this container had the only one."""
        parts = self._parts
        session = await parts.store.run(parts.store.sessions.get, live.session_id)
        if session.state is not SessionState.HIBERNATED:  # else it never woke: what was kept is good
            # The state of the hibernation before lies there still; what the notebook lacks is taken from it.
            await parts.store.run(parts.store.sessions.set_epoch, live.session_id, new_id("epoch"))
        await self._record(live, at_s, why, ContainerState.STOPPED)

    async def _stopped(self, live: Live, why: str) -> None:
        at_s, saved = await self._release(live), said_before(live)
        if saved is not None:
            await self._keep(live, at_s, saved)
        else:
            await self._lose(live, at_s, why)

    async def _after_the_end(self, live: Live, status: Status, saved: Saved | None) -> None:
        await self._release(live)
        at_s = status.ended_at_s or live.heard_at_s or self._parts.clock.now()
        if saved is not None:
            await self._keep(live, at_s, saved)
        else:
            log.warning("it is gone: %s", status.cause, extra=_ids(live))
            await self._lose(live, at_s, status.cause or "killed")

    async def _release(self, live: Live) -> float:
        """Stop it at its provider and return when it ended; who ended it without a word did so when last heard of."""
        if live.handle is None:
            return self._parts.clock.now()
        provider = self._parts.providers[live.row.provider]
        await provider.stop(live.handle)
        status = await provider.poll(live.handle)
        return status.ended_at_s or live.heard_at_s or self._parts.clock.now()

    async def _record(self, live: Live, at_s: float, cause: str, state: ContainerState) -> None:
        parts, store = self._parts, self._parts.store
        live.become(state)
        await parts.writes.flushed()  # its cells' rows, which its bill is made of
        for cell in await store.run(store.cells.lost, live.id, at_s):
            parts.herald.cell_lost(cell, at_s)
        await store.run(store.containers.ended, live.id, at_s, cause, state)
        await store.run(parts.accounts.settle, live.id)
        parts.herald.cost(live.session_id, await store.run(parts.accounts.spent_microusd, live.session_id))
        await store.run(store.tokens.revoke_scope, container_scope(live.id))
        await store.run(store.sessions.set_container, live.session_id, "")
        await store.run(store.sessions.touch, live.session_id, None)
        await parts.lines.container_ended(live.session_id, cause, tuple(live.running))
        parts.roster.remove(live)
        log.info("container ended: %s", cause, extra=_ids(live))
        live.over.set()

    def _give_up_saving(self, live: Live, saved: Saved | None) -> None:
        if live.saved is not None and not live.saved.done():
            live.saved.set_result(saved)


def unsaved_line(why: str) -> str:
    """Say that a container could not be let go."""
    return f"The state cannot be saved, so the container stays and costs on: {why}"


def _ids(live: Live) -> dict[str, str]:
    return {"session_id": live.session_id, "container_id": live.id}


def said_before(live: Live) -> Saved | None:
    """Return what its agent said it saved, where writing that down failed the first time."""
    said = live.saved.result() if live.saved is not None and live.saved.done() else None
    return None if said is None or said.failed else said


def saved_at_the_end(status: Status) -> Saved | None:
    """Return what a container that lost its control plane saved before it ended by itself."""
    said = status.details.get("saved")
    return from_wire(Saved, said) if isinstance(said, dict) else None
