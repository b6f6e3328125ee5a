"""The agent: carries messages between the kernel child and the control plane, and outlives user code.

It dials out and listens nowhere but on a unix socket inside the container, for processes that user code forks. What the
child sends is kept until the notebook has acknowledged it; a lost connection is dialled again and nothing is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import InvalidStatus, WebSocketException

from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.cells import METADATA_KEY, CellReply
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.framing import ACK, MESSAGE, NOTE, envelope, note, open_envelope, read_note
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.messages import (
    CONTROL,
    IOPUB,
    SHELL,
    STATE,
    Buffer,
    Message,
    decode,
    encode,
    glance,
    new_header,
    peek_channel,
)
from kernel_bridge.protocol.notes import (
    AgentHello,
    AgentWelcome,
    ChildEnded,
    Heartbeat,
    Hibernate,
    Note,
    PeerDown,
    PeerUp,
    Saved,
    Stop,
    note_from_wire,
    note_to_wire,
)
from kernel_bridge.protocol.resume import Inbox, Outbox
from kernel_bridge.protocol.version import PROTOCOL
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.agent.blob_service import BlobService
from remote_runtime.agent.child import agent_socket
from remote_runtime.agent.child_link import ChildLink
from remote_runtime.agent.forks import ForkServer

log = logging.getLogger("cellburst.agent")

_ACK_IDLE_S: Final = 0.05
_RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class Agent:
    """One container's voice."""

    def __init__(self, config: ContainerConfig, supervisor: socket.socket) -> None:
        self._config = config
        self._supervisor = supervisor
        self._outbox = Outbox()
        self._inbox = Inbox()
        self._stream = ""
        self._connection: ClientConnection | None = None
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._epoch = config.epoch
        self._child: ChildLink | None = None
        self._cell: dict[str, Any] | None = None  # the running cell's header
        self._deadline: asyncio.TimerHandle | None = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_word: Saved | None = None  # what the control plane was not there to hear
        self._killed_for = ""  # why we ended the child ourselves
        self._early: list[bytes] = []  # what arrived before the child was there
        self._blobs = BlobService(config)
        self._saved: asyncio.Future[dict[str, Any] | None] | None = None
        self._ended = asyncio.Event()
        self._ready = asyncio.Event()
        self._lost_at_s = time.monotonic()

    async def run(self) -> None:
        """Live until the control plane says stop, or has been gone for too long."""
        loop = asyncio.get_running_loop()
        self._supervisor.setblocking(False)
        loop.add_reader(self._supervisor, self._hear_supervisor)
        self._tell_supervisor({"op": "spawn", "epoch": self._epoch})
        forks = ForkServer(agent_socket(self._config), self._ask_for_fork)
        await forks.start()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._stay_connected()), group.create_task(self._watch_silence())]
            await self._ended.wait()
            for task in tasks:
                task.cancel()
        await forks.stop()
        saved = to_wire(self._last_word) if self._last_word else None
        self._tell_supervisor({"op": "end", "saved": saved})

    # -- the control plane ------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        attempt = 0
        while not self._ended.is_set():
            try:
                async with self._dial() as connection:
                    attempt = 0
                    await self._speak(connection)
            except* InvalidStatus as group:
                if any(_is_refusal(error) for error in group.exceptions):
                    log.warning("the control plane does not want this container any more")
                    self._ended.set()
            except* (OSError, WebSocketException) as group:
                log.info("no control plane: %s", group.exceptions[0])
            self._connection = None
            await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            attempt += 1

    def _dial(self) -> Any:
        options: dict[str, Any] = {
            "additional_headers": {"Authorization": f"Bearer {self._config.token}"},
            "compression": None,
            "max_size": DEFAULTS.frame_limit_bytes + (1 << 20),
            "open_timeout": 10,
            "ping_interval": None,  # heartbeats do that
            "proxy": None,
        }
        url = self._config.control_url
        if url.startswith("unix:"):
            return unix_connect(url.removeprefix("unix:"), "ws://runtime/v1/agents/channel", **options)
        return connect(url.replace("http", "ws", 1).rstrip("/") + "/v1/agents/channel", **options)

    async def _speak(self, connection: ClientConnection) -> None:
        await self._ready.wait()  # the child is there: a cell can run
        hello = AgentHello(
            protocol=PROTOCOL,
            container_id=self._config.container_id,
            epoch=self._epoch,
            stream=self._stream,
            received=self._inbox.received,
            busy=self._cell is not None,
        )
        await connection.send(note(note_to_wire(hello)))
        self._outgoing = asyncio.Queue()
        self._connection = connection
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send_out(connection)), group.create_task(self._beat())]
            try:
                async for data in connection:
                    self._lost_at_s = time.monotonic()
                    self._hear(data if isinstance(data, bytes) else data.encode())
            finally:
                self._connection = None
                for task in tasks:
                    task.cancel()

    async def _send_out(self, connection: ClientConnection) -> None:
        while True:
            await connection.send(await self._outgoing.get())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._config.heartbeat_s)
            self._tell(Heartbeat(busy=self._cell is not None, rss_bytes=self._child.rss_bytes() if self._child else 0))

    async def _watch_silence(self) -> None:
        """Save and end when the control plane has been gone for longer than the container may go on without it."""
        while True:
            await asyncio.sleep(1.0)
            silent_s = time.monotonic() - self._lost_at_s
            if self._connection is None and self._cell is None and silent_s > self._config.runtime_lost_after_s:
                log.warning("no control plane for %d s: saving and ending", silent_s)
                self._last_word = await self._save()
                self._ended.set()

    def _hear(self, data: bytes) -> None:
        kind, seq, body = open_envelope(data)
        if kind == ACK:
            self._outbox.acknowledge(seq)
        elif kind == NOTE:
            self._hear_note(note_from_wire(read_note(body)))
        elif kind == MESSAGE and self._inbox.accept(seq):
            self._to_child(bytes(body))
            self._acknowledge()
            if self._ack_timer is None:
                self._ack_timer = asyncio.get_running_loop().call_later(_ACK_IDLE_S, self._acknowledge_idle)

    def _hear_note(self, heard: Note) -> None:
        match heard:
            case PeerUp():
                self._meet(heard)
            case Hibernate():
                task = asyncio.get_running_loop().create_task(self._hibernate())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Stop():
                self._ended.set()
            case AgentWelcome() | PeerDown():
                pass
            case _:
                log.warning("a note of kind %s is not for agents", heard.kind)

    def _meet(self, peer: PeerUp) -> None:
        """Send the notebook what it lacks; a notebook that is new to this container begins a stream of its own."""
        if self._stream and peer.stream != self._stream:
            self._outbox, self._inbox = Outbox(), Inbox()
        self._stream = peer.stream
        for data in self._outbox.after(peer.received):
            self._outgoing.put_nowait(data)

    def _tell(self, said: Note) -> None:
        if self._connection is not None:
            self._outgoing.put_nowait(note(note_to_wire(said)))

    def _acknowledge(self, *, idle: bool = False) -> None:
        due = self._inbox.due(idle=idle)
        if due is not None and self._connection is not None:
            self._outgoing.put_nowait(envelope(ACK, due))

    def _acknowledge_idle(self) -> None:
        self._ack_timer = None
        self._acknowledge(idle=True)

    # -- the child --------------------------------------------------------------------------------------------------

    def _to_child(self, body: bytes) -> None:
        """Hand a message of the notebook to the child, or act on it where it is for us."""
        channel = peek_channel(body)
        if channel == CONTROL:
            self._control(decode(body))
            return
        if channel == SHELL:
            head = glance(body)
            if head.header.get("msg_type") == "execute_request":
                self._cell = head.header
        if self._child is None:
            self._early.append(body)
        else:
            self._child.send(body)

    def _control(self, message: Message) -> None:
        if message.type == "interrupt_request":
            self._signal(signal.SIGINT)
            self._to_notebook(encode(_reply(message, {"status": "ok"})))
        elif message.type == "kill_request":
            self._killed_for = "killed, as you asked"
            self._signal(signal.SIGKILL)

    def _from_child(self, body: bytes) -> None:
        channel = peek_channel(body)
        if channel == STATE and self._is_for_us(body):
            return
        if channel == SHELL and glance(body).header.get("msg_type") == "execute_reply":
            self._cell_ended()
        self._to_notebook([body])

    def _from_pipes(self, name: str, text: str) -> None:
        """Turn what a subprocess wrote into output of the running cell."""
        content = {"name": name, "text": text}
        message = Message(IOPUB, new_header("stream", "cellburst"), self._cell or {}, {}, content)
        self._to_notebook(encode(message))

    def _to_notebook(self, pieces: list[Buffer]) -> None:
        data = self._outbox.push(pieces)
        if self._connection is not None:
            self._outgoing.put_nowait(data)

    def _cell_ended(self) -> None:
        self._cell = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _is_for_us(self, body: bytes) -> bool:
        """Act on a state message that is the agent's business; False when it is the notebook's."""
        head = glance(body)
        actions: dict[str, Callable[[Message], None]] = {
            "ready": self._child_ready,
            "deadline": self._set_deadline,
            "blob_get_request": self._serve_blob,
            "blob_put_request": self._serve_blob,
            "save_reply": self._note_saved,
        }
        action = actions.get(str(head.header.get("msg_type")))
        if action is None:
            return False
        action(decode(body))
        return True

    def _child_ready(self, _message: Message) -> None:
        self._ready.set()

    def _set_deadline(self, message: Message) -> None:
        def overdue() -> None:
            self._killed_for = f"killed {DEFAULTS.kill_after_s:g} s after its time limit of {limit_s:g} s"
            self._signal(signal.SIGKILL)

        limit_s = float(message.content["timeout_s"])
        self._deadline = asyncio.get_running_loop().call_later(limit_s + DEFAULTS.kill_after_s, overdue)

    def _serve_blob(self, message: Message) -> None:
        loop = asyncio.get_running_loop()

        def answer(content: dict[str, Any]) -> None:
            if self._child is not None:
                self._child.send(b"".join(encode(_reply(message, content))))

        def work() -> None:
            content = self._blobs.serve(message.type, message.content)
            loop.call_soon_threadsafe(answer, content)

        loop.run_in_executor(None, work)

    async def _ask_for_fork(self, body: bytes) -> bytes | None:
        """Answer a request of a process that user code forked; None when the notebook cannot be asked."""
        if self._connection is None:
            return None
        message = decode(body)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._child is None:
            return None
        self._child.expect(message.id, future)
        self._to_notebook([body])
        try:
            return await asyncio.wait_for(future, DEFAULTS.page_timeout_s)
        except TimeoutError:
            return None

    async def _hibernate(self) -> None:
        saved = await self._save()
        if saved is not None:
            self._tell(saved)

    async def _save(self) -> Saved | None:
        """Have the child save its namespace; a cell that still runs is interrupted first."""
        if self._child is None:
            return None
        if self._cell is not None:
            self._signal(signal.SIGINT)
        if self._saved is None or self._saved.done():
            self._saved = asyncio.get_running_loop().create_future()
            request = Message(STATE, new_header("save_request", "cellburst"))
            self._child.send(b"".join(encode(request)))
        report = await self._saved
        if report is None:
            return None
        return Saved(
            names=tuple(report["names"]), lost=report["lost"], size_bytes=report["size_bytes"], epoch=self._epoch
        )

    def _note_saved(self, message: Message) -> None:
        if self._saved is not None and not self._saved.done():
            self._saved.set_result(message.content)

    # -- the supervisor ---------------------------------------------------------------------------------------------

    def _signal(self, number: int) -> None:
        self._tell_supervisor({"op": "signal", "number": int(number)})

    def _tell_supervisor(self, command: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._supervisor.send(json.dumps(command).encode() + b"\n")

    def _hear_supervisor(self) -> None:
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._supervisor, 1 << 16, 8)
        except BlockingIOError:
            return
        if not data:
            self._ended.set()
            return
        for line in data.splitlines():
            event = json.loads(line)
            if event["event"] == "spawned":
                self._child = ChildLink(descriptors, event["pid"], self._from_child, self._from_pipes)
                for body in self._early:
                    self._child.send(body)
                self._early.clear()
            elif event["event"] == "ended":
                self._child_ended(event)

    def _child_ended(self, event: dict[str, Any]) -> None:
        """Tell the notebook how the child ended, and start another with an empty namespace."""
        cause = self._killed_for or str(event["cause"])
        self._killed_for = ""
        if self._child is not None:
            self._child.close()
            self._child = None
        if self._saved is not None and not self._saved.done():
            self._saved.set_result(None)  # it ended while it saved: the state before stays
        if self._ended.is_set():
            return
        self._epoch = new_id("epoch")
        if self._cell is not None:
            self._to_notebook(encode(self._death_notice(cause)))
            self._cell_ended()
        self._tell(ChildEnded(cause=cause, epoch=self._epoch))
        self._tell_supervisor({"op": "spawn", "epoch": self._epoch})

    def _death_notice(self, cause: str) -> Message:
        reply = CellReply(epoch=self._epoch)
        content = {
            "status": "error",
            "ename": "SessionLost",
            "evalue": f"The cell's process ended: {cause}. Its remote variables are gone; the next cell starts afresh.",
            "traceback": [],
            "execution_count": 0,
        }
        header = new_header("execute_reply", "cellburst")
        return Message(SHELL, header, self._cell or {}, {METADATA_KEY: to_wire(reply)}, content)


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, InvalidStatus) and error.response.status_code in (401, 403, 404, 410)


def _reply(message: Message, content: dict[str, Any]) -> Message:
    header = new_header(message.type.removesuffix("_request") + "_reply", "cellburst")
    return Message(message.channel, header, message.header, {}, content)


def main(config: ContainerConfig, supervisor: socket.socket) -> None:
    """Be the agent of a container."""
    os.environ.clear()  # the cell's environment, and its secrets, are not the agent's
    Path(agent_socket(config)).unlink(missing_ok=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(Agent(config, supervisor).run())
    except CellburstError:
        log.exception("the agent ended")
