"""What the websockets report, turned into what the roster knows and into rows written behind."""

from __future__ import annotations

import logging
from collections.abc import Callable

from kernel_bridge.errors import Conflict, NotFound
from kernel_bridge.protocol.notes import AgentHello, ChildEnded, Heartbeat, Hibernate, Saved
from kernel_bridge.protocol.sessions import ContainerState, SessionInfo
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.roster import Live
from remote_runtime.scheduler.sessions import Sessions
from remote_runtime.scheduler.starting import Starter
from remote_runtime.store.rows import CellStatus, EndedCell, StartedCell

log = logging.getLogger(__name__)

_STATUS = {"ok": CellStatus.OK, "error": CellStatus.ERROR}


class Events:
    """The scheduler's side of the websockets."""

    def __init__(self, parts: Parts, starter: Starter, sessions: Sessions, nudge: Callable[[], None]) -> None:
        self._parts = parts
        self._starter = starter
        self._sessions = sessions
        self._nudge = nudge
        self._started: list[StartedCell] = []
        self._ended: list[EndedCell] = []
        self._unwritten: tuple[list[StartedCell], list[EndedCell]] | None = None  # what a try did not write

    async def client_up(self, session_id: str) -> SessionInfo:
        """A notebook is here; return its session and say what a start under way is busy with."""
        if live := self._parts.roster.of(session_id):
            live.client_gone_since_s = None
            live.goodbye = False
        if phase := self._starter.phase(session_id):
            self._parts.sayings.put(lambda: self._parts.lines.tell_client(session_id, phase))
        return await self._sessions.info(session_id)

    def client_down(self, session_id: str, *, goodbye: bool) -> None:
        """The notebook has gone, for good when it said goodbye."""
        if live := self._parts.roster.of(session_id):
            live.client_gone_since_s = self._parts.clock.now()
            live.goodbye = goodbye
        if goodbye:
            self._parts.tasks.spawn(self._farewell(session_id), f"farewell {session_id}")
        self._nudge()

    def wanted(self, session_id: str) -> None:
        """The notebook has a cell to run."""
        self._starter.wake(session_id)

    async def agent_up(self, container_id: str, hello: AgentHello) -> str:
        """A container's agent is here; return its session."""
        live = self._live(container_id)
        now_s = self._parts.clock.now()
        live.agent_connected = True
        live.heard_at_s = now_s
        live.outbox_messages = hello.outbox_messages
        live.epoch = hello.epoch
        if not live.is_ready and live.ending is None:
            live.become(ContainerState.BUSY if hello.busy else ContainerState.IDLE)
        if hello.busy:
            live.works()
        elif not live.running:
            live.rest(now_s)
        if live.saved is not None and not live.saved.done():
            self._parts.sayings.put(lambda: self._parts.lines.tell_agent(live.session_id, Hibernate()))
        live.ready.set()
        live.unwritten = True
        return live.session_id

    async def joined(self, session_id: str) -> SessionInfo:
        """Both ends are here; return the session as the notebook should see it."""
        return await self._sessions.info(session_id)

    def agent_down(self, container_id: str) -> None:
        """The agent's connection has gone; the reconciler looks whether its container has, too."""
        if live := self._parts.roster.get(container_id):
            live.agent_connected = False
            live.heard_at_s = self._parts.clock.now()
        self._nudge()

    def beat(self, container_id: str, heartbeat: Heartbeat) -> None:
        """A sign of life; it also ends cells whose reply was lost with a control plane."""
        live, store = self._live(container_id), self._parts.store
        now_s = live.heard_at_s = self._parts.clock.now()
        live.outbox_messages, live.outbox_bytes = heartbeat.outbox_messages, heartbeat.outbox_bytes
        live.frozen = heartbeat.frozen and not live.running
        self._parts.writes.put(lambda: store.run(store.containers.heartbeat, container_id, now_s))
        grace_s = 2 * self._parts.settings.heartbeat_s
        if not live.running:  # a cell whose row was lost keeps it from idling, too
            live.works() if heartbeat.busy else live.rest(now_s)
        if not heartbeat.busy:
            for cell_id in [cell for cell, began_s in live.running.items() if now_s - began_s > grace_s]:
                self.cell_ended(live.session_id, cell_id, "aborted", 0)

    def saved(self, container_id: str, saved: Saved) -> None:
        """The state lies in the session's directory."""
        live = self._live(container_id)
        if live.saved is not None and not live.saved.done():
            live.saved.set_result(saved)

    def child_ended(self, container_id: str, ended: ChildEnded) -> None:
        """The process that ran user code ended; another, with an empty namespace, took its place."""
        live, store = self._live(container_id), self._parts.store
        ids = {"container_id": container_id, "session_id": live.session_id}
        log.warning("the process that ran the cells ended: %s", ended.cause, extra=ids)
        self._parts.writes.put(lambda: store.run(store.sessions.set_epoch, live.session_id, ended.epoch))

    def cell_started(self, session_id: str, cell_id: str, code_digest: str) -> None:
        """A cell was handed to its container."""
        live = self._parts.roster.of(session_id)
        if live is None or cell_id in live.running:
            return
        now_s = self._parts.clock.now()
        live.started(cell_id, now_s)
        self._parts.herald.cell_began(live, cell_id, now_s)
        cell = StartedCell(
            id=cell_id,
            session_id=session_id,
            container_id=live.id,
            code_digest=code_digest,
            submitted_at_s=now_s,
            started_at_s=now_s,
        )
        self._note(started=cell)
        live.unwritten = True

    def cell_ended(self, session_id: str, cell_id: str, status: str, last_seq: int) -> None:
        """A cell's reply went by; a second time changes nothing."""
        live = self._parts.roster.of(session_id)
        now_s = self._parts.clock.now()
        began_s = now_s if live is None else live.running.get(cell_id, now_s)
        if live is None or not live.finished(cell_id, now_s):
            return
        if live.client_gone_since_s is not None:  # its reply waits for the notebook; the next heartbeat counts
            live.outbox_messages = max(live.outbox_messages, 1)
        word = _STATUS.get(status, CellStatus.ABORTED)
        self._parts.herald.cell_ended(live, cell_id, word, began_s, now_s)
        self._note(ended=EndedCell(id=cell_id, container_id=live.id, ended_at_s=now_s, status=word, last_seq=last_seq))
        live.unwritten = True

    def _note(self, *, started: StartedCell | None = None, ended: EndedCell | None = None) -> None:
        """Have a cell's row written soon, together with those of the cells around it."""
        if not self._started and not self._ended:
            self._parts.writes.put(self._write_cells)
        self._started += [started] if started else []
        self._ended += [ended] if ended else []

    async def _write_cells(self) -> None:
        """Write what was noted. A try that fails leaves it to the next one, as it was: it may have been written."""
        while self._unwritten or self._started or self._ended:
            if self._unwritten is None:
                self._unwritten = self._started, self._ended
                self._started, self._ended = [], []
            await self._parts.store.run(self._parts.store.cells.record, *self._unwritten)
            self._unwritten = None

    async def _farewell(self, session_id: str) -> None:
        """A kernel that ended cannot come back for a session of its own; the reconciler sees to its container."""
        await self._starter.stop(session_id)
        info = await self._sessions.info(session_id)
        if not info.spec.name and self._parts.roster.of(session_id) is None:
            await self._sessions.close(session_id, "the notebook's kernel ended")

    def _live(self, container_id: str) -> Live:
        live = self._parts.roster.get(container_id)
        if live is None:
            raise NotFound("This container has ended.")
        if live.over.is_set():
            raise Conflict("This container is ending.")
        return live
