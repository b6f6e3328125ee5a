"""A control plane with an echoing container behind it: a real websocket server whose connections can be broken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed

from kernel_bridge.client.channel import Channel
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.retry import Backoff
from kernel_bridge.config import Address
from kernel_bridge.protocol.framing import ACK, MESSAGE, note, open_envelope, read_note
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.messages import IOPUB, SHELL, Message, decode, encode, new_header
from kernel_bridge.protocol.notes import Hello, PeerUp, Wake, Welcome, note_from_wire, note_to_wire
from kernel_bridge.protocol.resume import Inbox, Outbox
from kernel_bridge.protocol.sessions import Notebook, SessionInfo, SessionSpec, SessionState
from kernel_bridge.protocol.version import PROTOCOL

SPEC = SessionSpec(notebook=Notebook(kernel_id="k"), image=ImageRecipe())
INFO = SessionInfo(id="ses_1", state=SessionState.OPEN, spec=SPEC)


class EchoRuntime:
    """Says Welcome and PeerUp, echoes every message, and resumes as an agent does. `lose_next` swallows answers."""

    def __init__(self, socket: Path, token: str = "cb_test") -> None:
        self.address = Address("http://localhost", token, str(socket))
        self.stream = self.container = "ctr_1"
        self.heard: list[Message] = []
        self.notes: list[object] = []
        self.acknowledged = 0
        self.lose_next = 0
        self.peer_on_hello = True
        self.status = 0  # refuse connections with this HTTP status
        self._inbox = Inbox()
        self._outbox = Outbox()
        self._connection: ServerConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._ready.wait(5)

    def stop(self) -> None:
        """Stop listening and drop who is connected; a second time there is nothing to do."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self._loop.close()

    def drop(self) -> None:
        """Cut the connection without a word."""
        self._do(lambda: self._connection and self._connection.transport.abort())

    def hang_up(self, code: int, reason: str) -> None:
        """Close the connection with a code."""
        connection = self._connection
        assert connection is not None
        asyncio.run_coroutine_threadsafe(connection.close(code, reason), self._loop).result(5)

    def say(self, text: str) -> None:
        """Send a message of the container's own accord."""
        self._do(lambda: self._send(Message(IOPUB, new_header("stream", "s"), content={"text": text})))

    def answer(self, request: Message) -> None:
        """Send the reply of a request."""
        reply = Message(SHELL, new_header("execute_reply", "s"), request.header, content={"status": "ok"})
        self._do(lambda: self._send(reply))

    def tell(self, value: object) -> None:
        """Send a note."""
        self._do(lambda: self._write(note(note_to_wire(value))))

    def replace_container(self, stream: str) -> None:
        """The container ends and another one takes its place, with nothing in its inbox."""

        def change() -> None:
            self.stream = self.container = stream
            self._inbox, self._outbox = Inbox(), Outbox()

        self._do(change)

    def _do(self, action: Callable[[], object]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (action(), done.set()))
        assert done.wait(5)

    async def _serve(self) -> None:
        async def gate(connection: ServerConnection, request: object) -> object:
            return connection.respond(self.status, "no") if self.status else None  # type: ignore[arg-type]

        options = {"compression": None, "max_size": None, "process_request": gate}
        async with unix_serve(self._talk, self.address.socket, **options):
            self._ready.set()
            await self._stop.wait()
            if self._connection is not None:
                self._connection.transport.abort()

    async def _talk(self, connection: ServerConnection) -> None:
        self._connection = connection
        try:
            async for data in connection:
                self._hear(data)
        except ConnectionClosed:
            pass

    def _hear(self, data: bytes) -> None:
        kind, seq, body = open_envelope(data)
        if kind == ACK:
            self._outbox.acknowledge(seq)
            self.acknowledged = seq
        elif kind == MESSAGE:
            if self._inbox.accept(seq):
                message = decode(body)
                self.heard.append(message)
                self._send(replace(message, parent_header=message.header))
        else:
            value = note_from_wire(read_note(body))
            self.notes.append(value)
            if isinstance(value, Hello):
                self._write(note(note_to_wire(Welcome(session=replace(INFO, container_id=self.container)))))
                if self.peer_on_hello:
                    self._connect_peer(value)
            if isinstance(value, Wake):
                self._connect_peer(Hello(protocol=PROTOCOL, stream=self.stream))

    def _connect_peer(self, hello: Hello) -> None:
        self._write(note(note_to_wire(PeerUp(stream=self.stream, received=self._inbox.received))))
        for data in self._outbox.after(hello.received if hello.stream == self.stream else 0):
            self._write(data)

    def _send(self, message: Message) -> None:
        data = self._outbox.push(encode(message))
        if self.lose_next:
            self.lose_next -= 1
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        connection = self._connection
        if connection is not None and connection.protocol.state.name == "OPEN":
            connection.protocol.send_binary(data)
            connection.send_data()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[EchoRuntime]:
    """An echoing runtime on a socket."""
    echo = EchoRuntime(tmp_path / "s")
    echo.start()
    yield echo
    echo.stop()


@pytest.fixture
def channel(runtime: EchoRuntime) -> Iterator[Channel]:
    """A channel to it."""
    opened = Channel(ControlPlane(runtime.address), "ses_1", backoff=Backoff(first_s=0.01, limit_s=0.05)).start()
    yield opened
    opened.close()
