"""The two ends of one session, and what passes between them: bytes first, questions after."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace

from starlette.websockets import WebSocket, WebSocketDisconnect

from kernel_bridge.errors import BadRequest, CellburstError
from kernel_bridge.protocol.framing import ACK, ENVELOPE, SEQ_LIMIT, note
from kernel_bridge.protocol.notes import AgentHello, Note, PeerUp, Refused, note_to_wire
from remote_runtime.api.failures import POLICY_VIOLATION
from remote_runtime.api.half_open import cut
from remote_runtime.api.metering import Meter
from remote_runtime.scheduler.lines import Listener

log = logging.getLogger(__name__)


class End:
    """One websocket of a session, and how far its messages have come."""

    def __init__(self, websocket: WebSocket, received: int = 0) -> None:
        self.websocket = websocket
        self.received = received  # how much of the other's stream it is known to hold
        self.next_seq = 1  # of its own messages
        self.waits_since_s: float | None = None  # by the loop's clock: it takes nothing
        self._waiting = 0  # sends that have not got through
        self.out = False  # turned away: nothing it says counts, whether or not it has hung up

    async def tell(self, what: Note) -> None:
        """Say something; an end that has gone hears nothing."""
        await self.send(note(note_to_wire(what)))

    async def send(self, data: bytes) -> bool:
        """Send one envelope; False when the end has gone, which its own reader will notice."""
        return not self.out and await self._put(data)

    async def turn_away(self, error: CellburstError) -> None:
        """Say why it may not stay, and hang up; from this moment on it is neither heard nor told anything."""
        self.out = True
        await self._put(note(note_to_wire(Refused(code=error.code, detail=str(error)))))
        await self.close(POLICY_VIOLATION, error.code)

    async def _put(self, data: bytes) -> bool:
        clock = asyncio.get_running_loop().time
        self._waiting += 1
        if self.waits_since_s is None:
            self.waits_since_s = clock()
        try:
            await self.websocket.send({"type": "websocket.send", "bytes": data})
        except (WebSocketDisconnect, RuntimeError):
            return False
        finally:
            self._waiting -= 1
            self.waits_since_s = clock() if self._waiting else None
        return True

    def cut_if_stalled(self, after_s: float) -> bool:
        """Hang up on it without a word when it has taken nothing for so long: others wait behind what it is sent."""
        stalled = self.waits_since_s is not None and (asyncio.get_running_loop().time() - self.waits_since_s >= after_s)
        if stalled:
            cut(self.websocket)
        return stalled

    async def close(self, code: int, reason: str) -> None:
        """Hang up."""
        try:
            await self.websocket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError):
            log.debug("the other side was faster to hang up")

    def in_order(self, seq: int) -> bool:
        """Tell whether its message may pass: one after a gap waits for what is missing, which will be sent again."""
        if seq > self.next_seq:
            return False
        self.next_seq = max(seq + 1, self.next_seq)
        return True


class Traffic:
    """How much was handed on. Plain numbers: a counter with a lock would cost more than the rest of the way."""

    __slots__ = ("to_container", "to_container_bytes", "to_notebook", "to_notebook_bytes")

    def __init__(self) -> None:
        self.to_container = self.to_container_bytes = self.to_notebook = self.to_notebook_bytes = 0


class Tie:
    """The two ends of one session."""

    def __init__(self, session_id: str, listener: Listener, traffic: Traffic) -> None:
        self.session_id = session_id
        self._traffic = traffic
        self.client: End | None = None
        self.agent: End | None = None
        self.container_id = ""
        self.epoch = ""
        self._packages: dict[str, str] = {}  # that the container has, as its agent said
        self.stream = ""  # what both number their messages in: the container's id, or that and a count
        self.client_stream = ""  # the stream the client spoke last
        self.held = False
        self.goodbye = False
        self.meter = Meter(session_id, listener)
        self._listener = listener
        self._streams = 0  # of this container so far
        self._spoken = False  # some client was in this stream
        self._joining = asyncio.Lock()
        self._settled = asyncio.Event()  # cleared while the two ends are told of each other
        self._settled.set()

    async def from_client(self, end: End, data: bytes) -> None:
        """Pass on what the notebook sent, then see what it was. An end that another took over from is not heard."""
        kind, seq = _number(data)
        if not self._settled.is_set():
            await self._settled.wait()
        agent = self.agent
        if end is not self.client:
            return
        if kind == ACK:
            end.received = max(end.received, seq)
            if agent is not None:
                await agent.send(data)
            return
        if agent is None or self.held or not end.in_order(seq):
            return
        if await agent.send(data):
            self._traffic.to_container += 1
            self._traffic.to_container_bytes += len(data)
            self.meter.to_agent(data)

    async def from_agent(self, end: End, data: bytes) -> None:
        """Pass on what the container sent, then see what it was, whether or not a notebook is there to get it."""
        kind, seq = _number(data)
        if not self._settled.is_set():
            await self._settled.wait()
        client = self.client
        if end is not self.agent:
            return
        if kind == ACK:
            end.received = max(end.received, seq)
            if client is not None:
                await client.send(data)
            return
        if client is not None and end.in_order(seq):
            await client.send(data)
            self._traffic.to_notebook += 1
            self._traffic.to_notebook_bytes += len(data)
        self.meter.from_agent(data, seq)

    def seat_agent(self, end: End, hello: AgentHello) -> End | None:
        """Take the container's end; return the one it replaces."""
        older, self.agent = self.agent, end
        if hello.container_id != self.container_id:
            self.container_id, self.stream = hello.container_id, hello.stream or hello.container_id
            self._streams = _count(self.stream)
            self._spoken = bool(hello.stream)  # to an earlier control plane
        self.epoch, end.received = hello.epoch, hello.received
        self._packages = hello.packages
        return older

    async def join(self) -> None:
        """Tell both ends of each other, if both are here. Nothing passes between them before both have been told."""
        async with self._joining:
            if self.client is None or self.agent is None:
                return
            self._settled.clear()
            try:
                session = await self._listener.joined(self.session_id)
                client, agent = self.client, self.agent
                if client is not None and agent is not None:
                    self._agree(client, agent)
                    await agent.tell(PeerUp(stream=self.stream, received=client.received, epoch=self.epoch))
                    up = PeerUp(stream=self.stream, received=agent.received, epoch=self.epoch, session=session)
                    await client.tell(replace(up, packages=self._packages))
            finally:
                self._settled.set()

    def _agree(self, client: End, agent: End) -> None:
        """Go on where both left off, or begin a stream where this client never was in the one there is."""
        if self.client_stream != self.stream:
            if self._spoken:
                self._streams += 1
                self.stream = f"{self.container_id}/{self._streams}"
                agent.received = 0
            client.received = 0
        self._spoken = True
        self.client_stream = self.stream
        client.next_seq, agent.next_seq = agent.received + 1, client.received + 1


def _number(data: bytes) -> tuple[int, int]:
    kind, seq = ENVELOPE.unpack_from(data)
    if seq > SEQ_LIMIT:
        raise BadRequest("A frame has a number that no stream reaches.")
    return kind, seq


def _count(stream: str) -> int:
    """Return how many streams a container has had, as the name of the last one tells."""
    count = stream.partition("/")[2]
    return int(count) if re.fullmatch("[0-9]{1,9}", count) else 1
