"""One session's channel: a thread that keeps a websocket to the control plane, and loses nothing when it breaks.

The notebook's thread sends by `send` and waits on `events`. Everything else happens on the channel's own thread, so a
notebook that computes for an hour still answers pings, acknowledges, and resumes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from websockets.exceptions import WebSocketException

from kernel_bridge.client.conversation import Conversation, note_envelope
from kernel_bridge.client.events import Disconnected, Event, Reconnected
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.refusal import refusal_of
from kernel_bridge.client.retry import Backoff
from kernel_bridge.client.websocket import DirectConnection, dial
from kernel_bridge.config import Address
from kernel_bridge.errors import BadRequest, CellburstError
from kernel_bridge.logs import bind
from kernel_bridge.protocol.messages import SHELL, STATE, Buffer, Message, encode
from kernel_bridge.protocol.notes import Goodbye, PeerDown, PeerUp, Refused, Welcome

log = logging.getLogger(__name__)

Revive = Callable[[], Address]

KEPT_EVENTS: Final = 2000  # that nobody has taken yet
ACK_AFTER_S: Final = 0.05  # quiet time after which what arrived is acknowledged
GAP_CLOSES_S: Final = 2.0  # a missing message has to come again within this time, else we resume
CLOSE_S: Final = 2.0
_ANSWERED: Final = frozenset({SHELL, STATE})  # the channels whose requests get a reply
LEAST_PAUSE_S: Final = 0.05  # between two attempts, however much is wanted
STABLE_S: Final = 5.0  # after a connection that lasted so long, the next pauses are short again


class Channel:
    """A session's connection. `events` yields what arrives, in order; wait on it from any one thread.

    `revive` is called on the channel's side when nothing answers at all and something is wanted of a container (one was
    asked for, or a request is unanswered); it starts the runtime again and returns its address. Without it, and while
    nothing is wanted, the channel keeps trying the address it was given: who stopped a runtime finds it stopped.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        session_id: str,
        *,
        revive: Revive | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.session_id = session_id
        self._address = control_plane.address
        self._revive = revive
        self._backoff = backoff or Backoff()
        self._conversation = Conversation()
        self._unsent: deque[tuple[Buffer, str]] = deque()
        self._connection: DirectConnection | None = None
        self._down_since: float | None = None
        self._refused = ""  # the code of a refusal that was the last thing said
        self._ack_timer: asyncio.TimerHandle | None = None
        self._nudged = asyncio.Event()  # something is wanted now
        self._loop = asyncio.new_event_loop()
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"cellburst {session_id}", daemon=True)

    def start(self) -> Channel:
        """Begin to connect; returns at once, and itself."""
        self._thread.start()
        return self

    @property
    def alive(self) -> bool:
        """Tell whether the channel still tries; False after `close` and after a refusal."""
        return self._thread.is_alive()

    @property
    def stream(self) -> str:
        """Return the container that answers now or answered last; empty when there is none."""
        return self._conversation.stream

    @property
    def peer_up(self) -> bool:
        """Tell whether the container's end is connected right now."""
        return self._conversation.peer_up

    def send(self, message: Message) -> None:
        """Send a message: its buffers are copied before this returns, it arrives once, when there is a container."""
        # Only an append and a wake-up: an interrupt between the two leaves nothing half done.
        request_id = message.id if message.channel in _ANSWERED and message.type.endswith("_request") else ""
        self._unsent.append((b"".join(encode(message)), request_id))
        self._call(self._flush)

    def wake(self) -> None:
        """Ask for a container; Progress, then PeerUp or Refused answer."""
        self._call(self._wake)

    def goodbye(self) -> None:
        """Say that the notebook ends and nobody will come back for what runs; then close."""
        self._call(self._say_goodbye)
        self.close()

    def close(self) -> None:
        """Leave the session; what runs in it goes on."""
        if self._thread.ident is None:
            self._loop.close()
        elif self._thread.is_alive():
            self._call(self._stop)
            self._thread.join(CLOSE_S)

    # Everything below runs on the channel's thread.

    def _call(self, action: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody to do it for
            self._loop.call_soon_threadsafe(action)

    def _run(self) -> None:
        bind(session_id=self.session_id)
        try:
            self._main = self._loop.create_task(self._keep_connected())
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._main)
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _keep_connected(self) -> None:
        pauses = self._backoff.pauses_s()
        while True:
            started = time.monotonic()
            error = await self._one_connection()
            refusal = refusal_of(error)
            if refusal is not None:
                if refusal.code != self._refused:  # else it was told in words before it was closed
                    self.events.put(refusal)
                return
            if self._down_since is None:
                self._down_since = time.monotonic()
                log.info("disconnected: %s", error or type(error).__name__)
                self.events.put(Disconnected(why=str(error) or type(error).__name__))
            if time.monotonic() - started > STABLE_S:
                pauses = self._backoff.pauses_s()
            if not await self._revived(error):
                return
            await self._pause(next(pauses))

    async def _pause(self, pause_s: float) -> None:
        """Wait before the next attempt; whoever wants something meanwhile cuts a long wait short."""
        self._nudged.clear()
        least_s = min(pause_s, LEAST_PAUSE_S)
        await asyncio.sleep(least_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s - least_s):
                await self._nudged.wait()

    async def _one_connection(self) -> BaseException | None:
        """Connect and stay until it ends; return why it ended."""
        try:
            connection = await dial(self._address, f"/v1/sessions/{self.session_id}/channel", self._received)
        except (OSError, WebSocketException) as error:
            return error
        async with connection:
            self._connection = connection
            try:
                for data in self._conversation.opening():
                    connection.send_now(data)
                await connection.wait_closed()
            finally:
                self._connection = None
                self._conversation.peer_lost()
        return connection.protocol.close_exc

    async def _revived(self, error: BaseException | None) -> bool:
        """Start the runtime again where that is ours to do; False when that failed, which ends the channel."""
        self._flush()
        if self._revive is None or not self._conversation.wanted:
            return True
        if not isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            return True
        try:
            self._address = await asyncio.to_thread(self._revive)
        except CellburstError as failure:
            self.events.put(Refused(code=failure.code, detail=failure.detail))
            return False
        return True

    def _received(self, connection: DirectConnection, data: Buffer) -> None:
        conversation = self._conversation
        try:
            events = conversation.receive(data)
        except BadRequest as error:
            log.warning("the control plane said something that could not be read: %s", error)
            return
        for event in events:
            if isinstance(event, Welcome):
                log.info("connected to the control plane")
                self._welcomed()
            elif isinstance(event, PeerUp):
                log.info("container answers", extra={"container_id": event.stream.partition("/")[0]})
            elif isinstance(event, PeerDown):
                log.info("container gone: %s", event.why, extra={"fields": {"final": event.final}})
            elif isinstance(event, Refused):
                log.info("refused: %s", event.code)
            self._refused = event.code if isinstance(event, Refused) else ""
            self.events.put(event)
        if conversation.gap:
            self._loop.call_later(GAP_CLOSES_S, self._resume_if_stuck, connection, conversation.received)
        self._flush()
        self._acknowledge(connection)

    def _welcomed(self) -> None:
        if self._down_since is not None:
            self.events.put(Reconnected(after_s=time.monotonic() - self._down_since))
            self._down_since = None

    def _flush(self) -> None:
        while self._unsent:
            self._conversation.push(*self._unsent.popleft())
            self._nudged.set()
        connection = self._connection
        if connection is not None:
            for data in self._conversation.outgoing():
                connection.send_now(data)

    def _acknowledge(self, connection: DirectConnection, *, idle: bool = False) -> None:
        # What lies here untaken is not acknowledged: so the other end stops when the notebook does not keep up.
        keeps_up = self.events.qsize() < KEPT_EVENTS
        data = self._conversation.acknowledgement(idle=idle) if keeps_up else None
        if data is not None:
            connection.send_now(data)
        elif self._ack_timer is None and not (idle and keeps_up):
            self._ack_timer = self._loop.call_later(ACK_AFTER_S, self._acknowledge_idle)

    def _acknowledge_idle(self) -> None:
        self._ack_timer = None
        if self._connection is not None:
            self._acknowledge(self._connection, idle=True)

    def _resume_if_stuck(self, connection: DirectConnection, received: int) -> None:
        if connection is self._connection and self._conversation.gap and self._conversation.received == received:
            connection.transport.abort()

    def _wake(self) -> None:
        data = self._conversation.wake()
        self._nudged.set()
        if self._connection is not None:
            self._connection.send_now(data)

    def _say_goodbye(self) -> None:
        self._flush()
        if self._connection is not None:
            self._connection.send_now(note_envelope(Goodbye()))

    def _stop(self) -> None:
        if self._main is not None:
            self._main.cancel()
