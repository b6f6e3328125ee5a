"""The relay: two websockets a session, and bytes that pass between them before anyone looks at them.

Envelopes with messages and acknowledgements go through verbatim. What the control plane wants to know of them (which
cell began, which ended) it reads after they were sent, and writes later still.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakSet

from starlette.websockets import WebSocket, WebSocketDisconnect

from kernel_bridge.errors import BadRequest, CellburstError, RuntimeMismatch, Unauthorized
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.framing import ENVELOPE, NOTE, note, open_envelope, read_note
from kernel_bridge.protocol.notes import (
    AgentHello,
    AgentWelcome,
    ChildEnded,
    Goodbye,
    Heartbeat,
    Hello,
    Note,
    PeerDown,
    Saved,
    Stop,
    Wake,
    Welcome,
    note_from_wire,
    note_to_wire,
)
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.api.failures import POLICY_VIOLATION
from remote_runtime.api.tie import End, Tie, Traffic
from remote_runtime.api.watch import Watched, unwatched
from remote_runtime.scheduler.lines import Listener

log = logging.getLogger(__name__)

TAKEN_OVER: Final = "another client took over"
CLOSE_TAKEN_OVER: Final = 4001  # an end that hears this does not dial again
CLOSE_ENDED: Final = 4002


class Relay:
    """Every session's tie, and the scheduler's voice on them."""

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._ties: dict[str, Tie] = {}
        self._ends: WeakSet[End] = WeakSet()
        self._traffic = Traffic()
        self._listener: Listener | None = None

    def listen(self, listener: Listener) -> None:
        """Say who is to be told; once, before the first websocket."""
        self._listener = listener

    @property
    def listener(self) -> Listener:
        """Return who is told of what happens."""
        if self._listener is None:
            raise RuntimeError("the relay has no listener yet")
        return self._listener

    async def serve_client(self, session_id: str, websocket: WebSocket, watched: Watched = unwatched) -> None:
        """Speak with a notebook until it hangs up or its token is worthless. A newer one takes over."""
        await websocket.accept()
        end = self._end(websocket)
        with watched(lambda why: end.turn_away(Unauthorized(why))):
            try:
                hello = await _first(websocket, Hello)
                _check_protocol(hello.protocol)
                tie = await self._seat_client(session_id, end, hello)
                await _pump(end, tie.from_client, lambda said: self._client_said(tie, end, said))
            except CellburstError as error:
                log.info("notebook turned away: %s", error, extra={"session_id": session_id})
                await end.turn_away(error)
            finally:
                await self._client_left(session_id, end)

    async def serve_agent(self, container_id: str, websocket: WebSocket) -> None:
        """Speak with a container's agent until it hangs up."""
        await websocket.accept()
        end = self._end(websocket)
        try:
            hello = await _first(websocket, AgentHello)
            _check_protocol(hello.protocol)
            if hello.container_id != container_id:
                raise BadRequest("This token is for another container.")
            session_id = await self.listener.agent_up(container_id, hello)
        except CellburstError as error:
            log.info("agent turned away: %s", error, extra={"container_id": container_id})
            await end.tell(Stop())
            return await end.close(CLOSE_ENDED, error.code)
        tie = self._tie(session_id)
        try:
            await self._seat_agent(tie, end, hello)
            await _pump(end, tie.from_agent, lambda said: self._agent_said(tie, end, said))
        except CellburstError as error:
            log.warning("agent said what it may not: %s", error, extra={"container_id": container_id})
            await end.close(POLICY_VIOLATION, error.code)
        finally:
            await self._agent_left(tie, end, container_id)

    async def watch(self) -> None:
        """Hang up on whoever takes nothing any more, for ever: the body of an owned task.

        It dials again and goes on where it was; until then nobody waits behind it.
        """
        while True:
            await asyncio.sleep(DEFAULTS.stalled_s / 5)
            for end in list(self._ends):
                if end.cut_if_stalled(DEFAULTS.stalled_s):
                    log.warning("a connection took nothing for %.0f s and was cut", DEFAULTS.stalled_s)

    async def tell_client(self, session_id: str, note: Note) -> None:
        """Say something to the notebook."""
        tie = self._ties.get(session_id)
        if tie is not None and tie.client is not None:
            await tie.client.tell(note)

    async def tell_agent(self, session_id: str, note: Note) -> bool:
        """Say something to the container; False when it is not connected."""
        tie = self._ties.get(session_id)
        return tie is not None and tie.agent is not None and await tie.agent.send(_wire(note))

    def hold(self, session_id: str) -> None:
        """Stop what the notebook sends to the container; replies still flow."""
        self._tie(session_id).held = True

    async def resume(self, session_id: str) -> None:
        """Let it go on, with what was stopped meanwhile: the notebook sends that again when it is told anew."""
        tie = self._tie(session_id)
        tie.held = False
        await tie.join()

    async def container_ended(self, session_id: str, why: str, running: tuple[str, ...]) -> None:
        """Hang up on the agent and tell the notebook that this stream is over."""
        tie = self._tie(session_id)
        agent, tie.agent, stream = tie.agent, None, tie.stream
        tie.container_id = tie.stream = tie.epoch = ""
        tie.held = False
        if agent is not None:
            await agent.close(CLOSE_ENDED, "ended")
        if tie.client is not None and stream and tie.client_stream == stream:
            await tie.client.tell(PeerDown(why=why, final=True, running=running))
        self._drop_if_unused(tie)

    def client_connected(self, session_id: str) -> bool:
        """Tell whether a notebook is connected."""
        tie = self._ties.get(session_id)
        return tie is not None and tie.client is not None

    def clients(self) -> int:
        """Return how many notebooks are connected."""
        return sum(tie.client is not None for tie in self._ties.values())

    def relayed(self) -> dict[str, tuple[int, int]]:
        """Return how many messages, and of how many bytes, were handed on to `notebook` and `container`."""
        seen = self._traffic
        return {
            "container": (seen.to_container, seen.to_container_bytes),
            "notebook": (seen.to_notebook, seen.to_notebook_bytes),
        }

    async def _seat_client(self, session_id: str, end: End, hello: Hello) -> Tie:
        session = await self.listener.client_up(session_id)
        tie = self._tie(session_id)
        older, tie.client = tie.client, end
        tie.client_stream, end.received = hello.stream, hello.received
        tie.goodbye = False
        if older is not None and not older.cut_if_stalled(0.0):
            await older.close(CLOSE_TAKEN_OVER, TAKEN_OVER)
        await end.tell(Welcome(session=session))
        log.info("notebook connected", extra={"session_id": session_id})
        await tie.join()
        return tie

    async def _seat_agent(self, tie: Tie, end: End, hello: AgentHello) -> None:
        older = tie.seat_agent(end, hello)
        if older is not None:
            await older.close(1000, "replaced by a newer connection")
        await end.tell(AgentWelcome(heartbeat_s=self._heartbeat_s))
        log.info("agent connected", extra={"session_id": tie.session_id, "container_id": hello.container_id})
        await tie.join()

    async def _client_said(self, tie: Tie, end: End, said: Note) -> None:
        if end is not tie.client:
            return
        match said:
            case Wake():
                self.listener.wanted(tie.session_id)
            case Goodbye():
                tie.goodbye = True
            case _:
                raise BadRequest(f"A notebook does not say {said.kind!r}.")

    async def _agent_said(self, tie: Tie, end: End, said: Note) -> None:
        if end is not tie.agent:
            return
        container_id = tie.container_id
        match said:
            case Heartbeat():
                self.listener.beat(container_id, said)
            case Saved():
                self.listener.saved(container_id, said)
            case ChildEnded():
                tie.epoch = said.epoch
                self.listener.child_ended(container_id, said)
            case _:
                raise BadRequest(f"An agent does not say {said.kind!r}.")

    async def _client_left(self, session_id: str, end: End) -> None:
        tie = self._ties.get(session_id)
        if tie is None or tie.client is not end:
            return
        tie.client = None
        fields = {"goodbye": tie.goodbye}
        log.info("notebook disconnected", extra={"session_id": session_id, "fields": fields})
        self.listener.client_down(tie.session_id, goodbye=tie.goodbye)
        if tie.agent is not None:
            await tie.agent.tell(PeerDown(why="the notebook's connection broke"))
        self._drop_if_unused(tie)

    async def _agent_left(self, tie: Tie, end: End, container_id: str) -> None:
        if tie.agent is not end:
            return
        tie.agent = None
        log.info("agent disconnected", extra={"session_id": tie.session_id, "container_id": container_id})
        self.listener.agent_down(container_id)
        if tie.client is not None:
            await tie.client.tell(PeerDown(why="the container's connection broke"))

    def _end(self, websocket: WebSocket) -> End:
        end = End(websocket)
        self._ends.add(end)
        return end

    def _tie(self, session_id: str) -> Tie:
        if session_id not in self._ties:
            self._ties[session_id] = Tie(session_id, self.listener, self._traffic)
        return self._ties[session_id]

    def _drop_if_unused(self, tie: Tie) -> None:
        if tie.client is None and tie.agent is None and not tie.container_id:
            self._ties.pop(tie.session_id, None)


async def _pump(
    end: End, forward: Callable[[End, bytes], Awaitable[None]], hear: Callable[[Note], Awaitable[None]]
) -> None:
    """Hand on every envelope and read every note, until the end hangs up; raises BadRequest when it talks nonsense."""
    websocket = end.websocket
    try:
        while True:
            event = await websocket.receive()
            if end.out:
                return
            data = event.get("bytes")
            if data is None:
                if event["type"] == "websocket.disconnect":
                    return
                raise BadRequest("Only binary frames travel here.")
            if len(data) < ENVELOPE.size or data[0] > NOTE:
                raise BadRequest("A frame of an unknown kind arrived.")
            if data[0] == NOTE:
                await hear(note_from_wire(read_note(open_envelope(data)[2])))
            else:
                await forward(end, data)
    except WebSocketDisconnect:
        return


async def _first(websocket: WebSocket, kind: type[Hello] | type[AgentHello]) -> Any:
    """Read the note a connection begins with; raises BadRequest."""
    try:
        async with asyncio.timeout(10):
            data = await websocket.receive_bytes()
    except (WebSocketDisconnect, TimeoutError, KeyError):
        raise BadRequest("A connection begins with a hello.") from None
    what, _, body = open_envelope(data)
    said = note_from_wire(read_note(body)) if what == NOTE else None
    if not isinstance(said, kind):
        raise BadRequest("A connection begins with a hello.")
    return said


def _check_protocol(theirs: int) -> None:
    if theirs != PROTOCOL:
        older = "the runtime's" if theirs > PROTOCOL else "this notebook's"
        raise RuntimeMismatch(
            f"The runtime speaks protocol {PROTOCOL}, this client {theirs}: upgrade {older} cellburst."
        )


def _wire(what: Note) -> bytes:
    return note(note_to_wire(what))
