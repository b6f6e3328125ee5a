"""A real container from a real zygote, spoken to as the control plane and the notebook would."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.codecs.arena import Arena
from kernel_bridge.codecs.wire_units import BufferReceiver, BufferSender, pack_units, unpack_unit
from kernel_bridge.protocol.cells import METADATA_KEY, CellReply, CellRequest, FolderList, ManifestChange
from kernel_bridge.protocol.containers import ContainerConfig, Mount
from kernel_bridge.protocol.framing import ACK, MESSAGE, NOTE, envelope, note, open_envelope, read_note
from kernel_bridge.protocol.messages import CONTROL, SHELL, STATE, STDIN, Message, decode, encode, new_header
from kernel_bridge.protocol.notes import Note, PeerUp, note_from_wire, note_to_wire
from kernel_bridge.protocol.resume import Inbox, Outbox
from kernel_bridge.protocol.wire import from_wire, to_wire
from remote_runtime.providers.payload import prepare_payload
from remote_runtime.providers.requests import given_paths, request
from remote_runtime.providers.sandbox import Ours, Sandbox

WAIT_S = 20.0


class FakeControlPlane:
    """The other end of the agent's websocket: keeps what it hears, says what it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: queue.Queue[Note] = queue.Queue()
        self.messages: queue.Queue[Message] = queue.Queue()
        self.acknowledges = True  # as a notebook does that keeps up
        self.refuses = False  # nobody answers
        self._outbox = Outbox()
        self._inbox = Inbox()
        self._connection: ServerConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._listening = threading.Event()
        self._stop = asyncio.Event()

    def start(self) -> None:
        self._thread.start()
        assert self._listening.wait(WAIT_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)

    def tell(self, said: Note) -> None:
        self._send(note(note_to_wire(said)))

    def send(self, message: Message) -> None:
        self._send(self._outbox.push(encode(message)))

    def acknowledge(self) -> None:
        """Acknowledge what came, and what comes from now on."""
        self.acknowledges = True
        self._send(envelope(ACK, self._inbox.received))

    def drop(self) -> None:
        """Cut the connection without a word."""
        assert self._connection is not None
        self._loop.call_soon_threadsafe(self._connection.transport.abort)

    def _send(self, data: bytes) -> None:
        assert self._connection is not None
        asyncio.run_coroutine_threadsafe(self._connection.send(data), self._loop).result(WAIT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with unix_serve(self._talk, str(self.path), compression=None, max_size=None):
            self._listening.set()
            await self._stop.wait()

    async def _talk(self, connection: ServerConnection) -> None:
        if self.refuses:
            return
        with suppress(Exception):
            async for data in connection:
                kind, seq, body = open_envelope(data if isinstance(data, bytes) else data.encode())
                if kind == NOTE:
                    heard = note_from_wire(read_note(body))
                    if heard.kind == "agent_hello":
                        self._connection = connection
                        up = PeerUp(stream="ctr", received=self._inbox.received)
                        await connection.send(note(note_to_wire(up)))
                        for again in self._outbox.after(heard.received):  # type: ignore[union-attr]
                            await connection.send(again)
                    self.notes.put(heard)
                elif kind == MESSAGE and self._inbox.accept(seq):
                    self.messages.put(decode(bytes(body)))
                    if self.acknowledges and (due := self._inbox.due(idle=True)):
                        await connection.send(envelope(ACK, due))


class Container:
    """A container, and a notebook's side of it: a namespace with its mirror."""

    def __init__(self, plane: FakeControlPlane, config: ContainerConfig, pid: int) -> None:
        self.plane = plane
        self.config = config
        self.pid = pid
        self.epoch = config.epoch
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.mirror = Mirror(self.namespace, references=ReferenceTable())
        self.arena = Arena(config.arena_dir)
        self.output: list[Message] = []
        self.answers: dict[str, Callable[[Message], Message]] = {
            "page_request": self._page,
            "file_request": self._no_file,
            "list_request": self._no_files,
            "package_request": self._no_package,
        }
        self.inputs: list[str] = []
        self.files: tuple[FolderList, ...] = ()  # what the notebook has beside it

    def hello(self) -> Note:
        return self.plane.notes.get(timeout=WAIT_S)

    def run(self, code: str, **request: Any) -> tuple[Message, CellReply]:
        """Run a cell; what the notebook has is offered for paging, changes are taken over."""
        return self.finish(self.submit(code, **request))

    def submit(self, code: str, **request: Any) -> Message:
        sender = BufferSender(arena=self.arena)
        units = pack_units(self.mirror.export(request.pop("ship", ())).units, sender)
        names = [name for name in self.namespace if isinstance(name, str) and not name.startswith("__")]
        available = tuple(name for name in names if not self.mirror.is_current(name))
        asked = CellRequest(
            epoch=self.epoch,
            manifest=ManifestChange(full=False, available=available),
            writeback_limit_bytes=request.pop("limit_bytes", 1 << 24),
            shared_arena=True,
            units=units,
            **request,
        )
        content = {"code": code, "allow_stdin": True}
        metadata = {METADATA_KEY: to_wire(asked)}
        header = new_header("execute_request", "test")
        message = Message(SHELL, header, {}, metadata, content, tuple(sender.inline))
        self.plane.send(message)
        return message

    def finish(self, sent: Message) -> tuple[Message, CellReply]:
        self.output = []
        while True:
            message = self.plane.messages.get(timeout=WAIT_S)
            if message.channel == STATE:
                self.plane.send(self.answers[message.type](message))
            elif message.channel == STDIN:
                reply = {"value": self.inputs.pop(0)}
                self.plane.send(Message(STDIN, new_header("input_reply", "test"), message.header, {}, reply))
            elif message.type == "execute_reply" and message.parent_id == sent.id:
                return message, self._take(message)
            else:
                self.output.append(message)

    def said(self, kind: str) -> Any:
        """Return the next note of a kind."""
        while (note_ := self.hello()).kind != kind:
            pass
        return note_

    def interrupt(self) -> None:
        self.plane.send(Message(CONTROL, new_header("interrupt_request", "test")))

    def ask(self, msg_type: str, content: dict[str, Any]) -> Message:
        message = Message(STATE, new_header(msg_type, "test"), {}, {}, content)
        self.plane.send(message)
        while True:
            heard = self.plane.messages.get(timeout=WAIT_S)
            if heard.parent_id == message.id and heard.channel == STATE:
                return heard

    def text(self, name: str = "stdout") -> str:
        streams = [m.content["text"] for m in self.output if m.type == "stream" and m.content["name"] == name]
        return "".join(streams)

    def types(self) -> list[str]:
        return [message.type for message in self.output]

    def _take(self, message: Message) -> CellReply:
        reply = from_wire(CellReply, message.metadata[METADATA_KEY])
        self.epoch = reply.epoch
        source = BufferReceiver(arena=self.arena)
        self.mirror.accept([unpack_unit(head, message.buffers, source) for head in reply.units])
        for name in reply.deleted:
            self.namespace.pop(name, None)
        return reply

    def _page(self, message: Message) -> Message:
        self.mirror.drop(message.content["names"])  # whoever asks has nothing, though another process of it may
        export = self.mirror.export(message.content["names"])
        sender = BufferSender(arena=self.arena)
        content = {"units": to_wire(pack_units(export.units, sender)), "missing": [], "refused": {}}
        return Message(STATE, new_header("page_reply", "test"), message.header, {}, content, tuple(sender.inline))

    def _no_file(self, message: Message) -> Message:
        return Message(STATE, new_header("file_reply", "test"), message.header, {}, {"file": None, "why": "none"})

    def _no_files(self, message: Message) -> Message:
        return Message(STATE, new_header("list_reply", "test"), message.header, {}, {"folders": to_wire(self.files)})

    def _no_package(self, message: Message) -> Message:
        content = {"layers": [], "modules": [], "why": ""}
        return Message(STATE, new_header("package_reply", "test"), message.header, {}, content)


class Nest:
    """A zygote of this very environment, and the walls its containers get."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "z.sock"
        payload = prepare_payload(directory / "payload")
        ours = Ours(payload=payload, scratch=directory / "roots", lent=(directory.parent,))
        self._env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.sandbox = Sandbox(ours, self._env)
        self.process = self._launch(payload)

    def fork(self, config: ContainerConfig) -> int:
        """Have a container forked; returns its pid."""
        trees = self.sandbox.trees("test", given_paths(config))
        with request(config, trees) as asked, socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            sent = socket.send_fds(sock, [asked.text], list(asked.descriptors))
            if rest := asked.text[sent:]:
                sock.sendall(rest)
            return int(json.loads(sock.makefile().readline())["pid"])

    def _launch(self, payload: Path) -> subprocess.Popen[bytes]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, ExitStack() as opened:
            listener.bind(str(self.path))
            listener.listen()
            module = "remote_runtime.agent.zygote"
            argv, inherited = self.sandbox.command("test", Path(sys.executable), module, opened)
            argv += ["--listen", str(listener.fileno()), "--owner-pid", str(os.getpid())]
            env = self._env | {"PYTHONPATH": str(payload)}
            return subprocess.Popen(argv, start_new_session=True, env=env, pass_fds=(listener.fileno(), *inherited))


@pytest.fixture(scope="session")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nest]:
    """Where containers come from."""
    nest = Nest(tmp_path_factory.mktemp("zygote"))
    with nest.process:
        yield nest
        nest.process.kill()
    nest.sandbox.close()


@pytest.fixture
def start(nest: Nest, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Start containers; they are ended with the test."""
    started: list[Container] = []
    planes: list[FakeControlPlane] = []

    def make(*, answers: bool = True, **changes: Any) -> Container:
        number = len(started)
        session = tmp_path / f"session-{changes.pop('session', number)}"
        for name in ("work", "state", "arena"):
            (session / name).mkdir(parents=True, exist_ok=True)
        plane = FakeControlPlane(tmp_path / f"plane-{number}.sock")
        plane.start()
        planes.append(plane)
        fields: dict[str, Any] = {
            "container_id": f"ctr_{number}",
            "session_id": "ses_test",
            "epoch": "ep_1",
            "control_url": f"unix:{plane.path}",
            "token": "t",
            "python": sys.executable,
            "work_dir": str(session / "work"),
            "state_dir": str(session / "state"),
            "arena_dir": str(session / "arena"),
            "exit_file": str(session / f"exit-{number}.json"),
            "log_file": str(session / "log"),
        }
        config = ContainerConfig(**(fields | changes))
        container = Container(plane, config, nest.fork(config))
        if answers:
            container.hello()
        started.append(container)
        return container

    yield make
    for container in started:
        with suppress(ProcessLookupError):
            os.kill(container.pid, 15)
    for plane in planes:
        plane.stop()


__all__ = ["Container", "Mount"]
