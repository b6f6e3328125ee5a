"""The agent's line to the control plane: dialled again when it breaks, with numbered messages that survive that."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.framing import ACK, MESSAGE, NOTE, envelope, note, open_envelope, read_note
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.notes import AgentHello, Heartbeat, Note, PeerDown, PeerUp, note_from_wire, note_to_wire
from kernel_bridge.protocol.resume import Inbox
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.agent.backlog import Backlog
from remote_runtime.agent.unix_path import dial
from remote_runtime.agent.versions import installed

log = logging.getLogger("cellburst.agent")

_ACK_IDLE_S: Final = 0.05
_CLOSE_S: Final = 2.0
_HELLO_WITHIN_S: Final = 5.0  # the control plane waits twice as long
_HELD_S: Final = 3.0  # a line that was held so long is dialled again at once
_RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_UNWANTED: Final = (401, 403, 404, 410)  # the control plane has closed this container's book


class Line:
    """Speaks for one container. What is sent is kept until the notebook has acknowledged it.

    `on_full` is told when so much is kept that whoever writes should wait, and when there is room again.
    """

    def __init__(self, config: ContainerConfig, on_message: Callable[[bytes], None], on_note: Callable[[Note], None]):
        self._config = config
        self._on_message = on_message
        self._on_note = on_note
        self._outbox = self._backlog()
        self._inbox = Inbox()
        self._stream = ""
        self._next = 1  # the number of the message to send next on this connection
        self._notebook_here = False
        self._full = False
        self.on_full: Callable[[bool], None] = lambda full: None
        self._connection: ClientConnection | None = None
        self._said: deque[tuple[int, bytes]] = deque()  # what is no message, and after which one it is to go
        self._more = asyncio.Event()
        self._ack_timer: asyncio.TimerHandle | None = None
        self._heard_at_s = time.monotonic()
        # What the hello and the heartbeats say; the agent keeps them true.
        self.epoch = config.epoch
        self.busy = False
        self.frozen = False
        self.rss_bytes: Callable[[], int] = lambda: 0

    @property
    def connected(self) -> bool:
        """Tell whether the control plane can be spoken to now."""
        return self._connection is not None

    @property
    def silent_s(self) -> float:
        """Return for how long nothing was heard; heartbeats are answered by nobody, so 0 while connected."""
        return 0.0 if self.connected else time.monotonic() - self._heard_at_s

    def send(self, pieces: list[Buffer]) -> None:
        """Send a message to the notebook, now or when both are connected again."""
        self._outbox.push(pieces)
        self._more.set()
        self._weigh()

    def tell(self, said: Note) -> None:
        """Say something to the control plane; what it does not hear is lost."""
        self._say(note(note_to_wire(said)))

    def beat(self) -> None:
        """Say how things stand, as is done every few seconds anyway."""
        kept = self._outbox
        self.tell(
            Heartbeat(
                busy=self.busy,
                rss_bytes=self.rss_bytes(),
                outbox_messages=kept.waiting,
                outbox_bytes=kept.waiting_bytes,
                frozen=self.frozen,
            )
        )

    async def hold(self, ready: asyncio.Event) -> None:
        """Stay connected until the control plane turns this container away.

        It is dialled while the child starts. Hello is said when that is `ready`: then a cell can run.
        """
        attempt = 0
        wanted = True
        while wanted:
            dialled_at_s = time.monotonic()
            try:
                async with self._dial() as connection:
                    if await _happens(ready, _HELLO_WITHIN_S):
                        await self._speak(connection)
            except* InvalidStatus as group:
                wanted = not any(_is_refusal(error) for error in group.exceptions)
            except* (OSError, WebSocketException) as group:
                log.info("no control plane: %s", group.exceptions[0])
            if time.monotonic() - dialled_at_s > _HELD_S:
                attempt = 0  # but who accepts and hangs up at once is not asked twenty times a second
            await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            attempt += 1
            await ready.wait()
        log.warning("the control plane does not want this container any more")

    def _dial(self) -> Any:
        options: dict[str, Any] = {
            "additional_headers": {"Authorization": f"Bearer {self._config.token}"},
            "compression": None,
            "max_size": DEFAULTS.frame_limit_bytes + (1 << 20),
            "open_timeout": 10,
            "ping_interval": DEFAULTS.heartbeat_s,  # heartbeats go into a dead line for a quarter of an hour
            "ping_timeout": DEFAULTS.silence_s,
            "close_timeout": _CLOSE_S,
            "proxy": None,
        }
        url = self._config.control_url
        if url.startswith("unix:"):
            return connect("ws://runtime/v1/agents/channel", sock=dial(url.removeprefix("unix:")), **options)
        return connect(url.replace("http", "ws", 1).rstrip("/") + "/v1/agents/channel", **options)

    async def _speak(self, connection: ClientConnection) -> None:
        await connection.send(note(note_to_wire(self._hello())))
        self._said.clear()
        self._next = self._outbox.last + 1  # until it is known what the notebook lacks
        self._connection = connection
        log.info("connected to the control plane")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send_out(connection)), group.create_task(self._beat())]
            try:
                async for data in connection:
                    self._heard_at_s = time.monotonic()
                    self._hear_if_sound(data)
            finally:
                self._connection = None
                self._heard_at_s = time.monotonic()
                self._notebook_is(here=False)
                log.info("disconnected from the control plane")
                for task in tasks:
                    task.cancel()

    def _hello(self) -> AgentHello:
        return AgentHello(
            protocol=PROTOCOL,
            container_id=self._config.container_id,
            epoch=self.epoch,
            stream=self._stream,
            received=self._inbox.received,
            busy=self.busy,
            outbox_messages=self._outbox.waiting,
            packages=installed(),
        )

    async def _send_out(self, connection: ClientConnection) -> None:
        while True:
            data = self._due()
            if data is None:
                self._more.clear()
                await self._more.wait()
            else:
                await connection.send(data)

    def _due(self) -> bytes | None:
        """Return what goes out next: messages in their order, and what else is said where it was said."""
        while not (self._said and self._said[0][0] < self._next):
            if self._next > self._outbox.last:
                return None
            self._next += 1
            if (data := self._outbox.get(self._next - 1)) is not None:  # else it was acknowledged meanwhile
                return data
        return self._said.popleft()[1]

    def _say(self, data: bytes) -> None:
        if self.connected:
            self._said.append((self._outbox.last, data))
            self._more.set()

    def _notebook_is(self, *, here: bool) -> None:
        self._notebook_here = here
        self._weigh()

    def _weigh(self) -> None:
        full = self._outbox.is_full(reader_here=self._notebook_here)
        if full is not self._full:
            self._full = full
            self.on_full(full)

    def _backlog(self) -> Backlog:
        config = self._config
        return Backlog([str(Path(config.exit_file).parent), config.state_dir])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._config.heartbeat_s)
            self.beat()

    def _hear_if_sound(self, data: bytes | str) -> None:
        """One thing that cannot be read, whoever said it, must not end the container."""
        try:
            self._hear(data if isinstance(data, bytes) else data.encode())
        except CellburstError as error:
            log.warning("something that cannot be read is skipped: %s", error)

    def _hear(self, data: bytes) -> None:
        kind, seq, body = open_envelope(data)
        if kind == ACK:
            self._outbox.acknowledge(seq)
            self._weigh()
        elif kind == NOTE:
            heard = note_from_wire(read_note(body))
            if isinstance(heard, PeerUp):
                self._meet(heard)
            else:
                if isinstance(heard, PeerDown):
                    self._notebook_is(here=False)
                self._on_note(heard)
        elif kind == MESSAGE and self._inbox.accept(seq):
            self._on_message(bytes(body))
            self._acknowledge()
            if self._ack_timer is None:
                self._ack_timer = asyncio.get_running_loop().call_later(_ACK_IDLE_S, self._acknowledge_idle)

    def _meet(self, peer: PeerUp) -> None:
        """Send the notebook what it lacks; a notebook that is new to this container begins a stream of its own."""
        if self._stream and peer.stream != self._stream:
            self._outbox.close()
            self._outbox, self._inbox = self._backlog(), Inbox()
        self._stream = peer.stream
        self._outbox.acknowledge(peer.received)
        self._next = peer.received + 1
        self._more.set()
        self._notebook_is(here=True)

    def _acknowledge(self, *, idle: bool = False) -> None:
        due = self._inbox.due(idle=idle)
        if due is not None:
            self._say(envelope(ACK, due))

    def _acknowledge_idle(self) -> None:
        self._ack_timer = None
        self._acknowledge(idle=True)


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, InvalidStatus) and error.response.status_code in _UNWANTED
