"""The kernel child: the process in which user code runs.

Its main thread runs cells and everything else that touches user objects, one message after another. Other threads only
move bytes. What it needs of the outside comes through one socket, its pipe to the agent.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import random
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.units import AcceptReport
from kernel_bridge.codecs.arena import Arena
from kernel_bridge.codecs.guard import GUARD
from kernel_bridge.codecs.units import ReceivedUnit
from kernel_bridge.codecs.wire_units import BufferReceiver, BufferSender
from kernel_bridge.errors import CellburstError, NotFound
from kernel_bridge.protocol.cells import AGENT_DOOR, METADATA_KEY, CellReply, CellRequest, FileRef, FolderList
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.messages import IOPUB, SHELL, STATE, Buffer, Message, new_header
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.agent.answers import Answers, text_of
from remote_runtime.agent.blobs import AgentBlobs
from remote_runtime.agent.cell import CellRunner, enter, reply_metadata
from remote_runtime.agent.container_log import begin_child
from remote_runtime.agent.file_hooks import FileHooks
from remote_runtime.agent.files import WorkDirectory
from remote_runtime.agent.hibernation import Hibernation
from remote_runtime.agent.kept import KeptTable
from remote_runtime.agent.kernel_host import HostedKernel
from remote_runtime.agent.notebook_folder import NotebookFolder
from remote_runtime.agent.packages import NotebookFinder, link_layers
from remote_runtime.agent.pager import Pager
from remote_runtime.agent.pip_magic import PipMagic
from remote_runtime.agent.pipe import Pipe
from remote_runtime.agent.placeholders import Placeholders
from remote_runtime.agent.secrets import SecretTexts, secrets_of
from remote_runtime.agent.sources import SourceCache
from remote_runtime.agent.streams import Batcher, CellStream

log = logging.getLogger("cellburst.child")


class Child:
    """One kernel child, from its fork to its end."""

    def __init__(self, config: ContainerConfig, kernel: HostedKernel, sock: socket.socket, directory: str) -> None:
        self._config = config
        self._kernel = kernel
        self._pipe = Pipe(sock, agent_socket=agent_socket(config))
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._running = False
        self._preparing = False  # values are rebuilt, which may import
        self._timed_out = False
        self._streams: list[CellStream] = []
        self._namespace = kernel.namespace
        self._references = KeptTable(session=config.session_id, place=_place(config))
        self._references.texts = SecretTexts(secrets_of(config))
        why_not = self._references.why_not_home
        self._mirror = Mirror(self._namespace, references=self._references, why_not=why_not)
        self._hibernation = Hibernation(config, kernel, self._mirror, self._references)
        self._arena = Arena(config.arena_dir)
        self._blobs = AgentBlobs(self._pipe, self._arena)
        source = BufferReceiver(arena=self._arena, blobs=self._blobs)
        self._source = source
        self._pager = Pager(self._pipe, source, self._accept, self._hibernation.saved)
        view = NotebookFolder(Path(directory), placeholders(config, directory), self._list_folder)
        self._work = WorkDirectory(view, self._fetch_file)
        self._hooks = FileHooks(view, self._work.bring, lambda: self._running)
        self._finder = NotebookFinder(self._fetch_package)
        module_dir = Path(config.work_dir).parent / "modules"
        self._cells = CellRunner(
            kernel, self._mirror, self._references, self._pager, self._work, self._finder, source, module_dir
        )
        sys.path.insert(0, str(module_dir))
        self._answers = Answers(
            self._namespace,
            self._references,
            self._work,
            self._cells,
            self._hibernation,
            self._sender,
            self._pipe.send,
        )

    def run(self) -> None:
        """Serve until the agent is gone."""
        self._replace_streams()
        self._kernel.attach(self._publish_in_order, self._pipe.ask)
        self._namespace.attach(self._pager)
        self._cells.epoch = self._config.epoch
        sys.meta_path.append(self._finder)
        setattr(self._kernel.shell, AGENT_DOOR, self._ask_agent)
        PipMagic(self._pager.ask, self._link).register(self._kernel.shell)
        SourceCache(self._pager.source_of, self._kernel.number_cell).install()
        link_layers(self._config.layers)
        self._cells.epoch = self._hibernation.wake(self._config.epoch)
        self._hooks.install()
        signal.signal(signal.SIGINT, self._interrupted)
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        # asyncio.Runner takes SIGINT for itself; here it belongs to the cell.
        signal.signal(signal.SIGINT, self._interrupted)

        def deliver(message: Message) -> None:
            loop.call_soon_threadsafe(self._queue.put_nowait, message)

        def read() -> None:
            try:
                self._pipe.read(deliver)
            finally:
                os._exit(0)  # the agent is gone: nobody can use what is here

        threading.Thread(target=read, name="cellburst-pipe", daemon=True).start()
        self._send(STATE, "ready", {"epoch": self._cells.epoch})
        begin_child(self._config, lambda line: self._send(STATE, "log", line))
        log.info("ready")
        while True:
            await self._handle(await self._queue.get())

    async def _handle(self, message: Message) -> None:
        if message.channel == STATE:
            self._answers.give(message, self._pager.lock)
        elif message.type == "execute_request":
            await self._execute(message)
        elif message.type in self._kernel.shell_handlers:
            await self._handle_stock(message)

    async def _handle_stock(self, message: Message) -> None:
        """Let ipykernel answer: completion, inspection, kernel info, comms."""
        parent = _as_dict(message)
        self._kernel.begin(parent)
        self._status("busy", message)
        try:
            outcome = self._kernel.shell_handlers[message.type](SHELL, b"", parent)
            if inspect.isawaitable(outcome):
                await outcome
        except BaseException:  # noqa: BLE001 - as in ipykernel, a handler's failure must not end the kernel
            traceback.print_exc()
        self._status("idle", message)

    async def _execute(self, message: Message) -> None:
        # A `%%gpu` cell ends with its reply, the last of its messages; plain Jupyter is told busy, input and idle.
        plain = METADATA_KEY not in message.metadata
        self._kernel.begin(_as_dict(message))
        if plain:
            self._status("busy", message)
        request = from_wire(CellRequest, message.metadata.get(METADATA_KEY, {}))
        if request.epoch not in ("", self._cells.epoch):
            reply = CellReply(epoch=self._cells.epoch, state_lost=True)
            self._reply(message, {"status": "aborted"}, reply, ())
        else:
            await self._execute_here(message, request)
        if plain:
            self._status("idle", message)

    async def _execute_here(self, message: Message, request: CellRequest) -> None:
        sender = BufferSender(arena=self._arena if request.shared_arena else None, blobs=self._blobs)
        self._preparing = True
        try:
            with self._pager.lock:
                self._cells.prepare(request, message.header, message.buffers)
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit included
            self._reply(message, _refusal(error), CellReply(epoch=self._cells.epoch), ())
            log.warning("cell refused: %s", type(error).__name__, extra={"cell_id": message.id})
            return
        finally:
            self._preparing = False
        content, run_s = await self._run_cell(message, request)
        if self._pipe.forked:  # the cell forked and went on in both processes; the session is the parent's
            os._exit(self._cells.exit_code())
        try:
            with self._pager.lock:
                reply = self._cells.collect(request, sender, run_s)
        except BaseException as error:  # noqa: BLE001 - user objects may raise anything, KeyboardInterrupt included
            traceback.print_exc()
            sender, reply = self._sender(message), self._cells.nothing_home(error, run_s)
        self._write_out()
        self._reply(message, content, self._hibernation.tell(reply), tuple(sender.inline))
        fields = {"prepare_s": round(reply.prepare_s, 4), "run_s": round(run_s, 4), "units": len(reply.units)}
        log.info("cell ended: %s", content["status"], extra={"cell_id": message.id, "fields": fields})

    async def _run_cell(self, message: Message, request: CellRequest) -> tuple[dict[str, Any], float]:
        code = str(message.content.get("code", ""))
        if request.number:
            self._kernel.count = request.number
        if request.deferred_annotations:
            self._kernel.defer_annotations()
        if METADATA_KEY not in message.metadata:
            self._publish("execute_input", {"code": code, "execution_count": self._kernel.count}, message)
        self._mend_streams()
        timer = self._start_timer(request.timeout_s)
        self._timed_out = False
        self._running = self._pager.cell_runs = True
        try:
            await self._hibernation.make_again()
            content, run_s = await self._cells.run(code, message.content)
        except BaseException as error:  # noqa: BLE001 - an interrupt a moment after the user's code had ended, or an error in showing one
            content, run_s = _error(type(error).__name__, text_of(error)), 0.0
        finally:
            self._running = self._pager.cell_runs = False
            if timer is not None:
                timer.cancel()
        if self._timed_out and content["status"] == "error":
            content |= {"ename": "CellTimeoutError", "evalue": f"The cell ran longer than {request.timeout_s:g} s."}
        return content, run_s

    def _start_timer(self, timeout_s: float | None) -> threading.Timer | None:
        if timeout_s is None:
            return None
        # The agent ends this process when the interrupt does not help; a thread here could not, without the GIL.
        self._send(STATE, "deadline", {"timeout_s": timeout_s})

        def expire() -> None:
            self._timed_out = True
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(timeout_s, expire)
        timer.daemon = True
        timer.start()
        return timer

    def _interrupted(self, _signal: int, _frame: object) -> None:
        if self._running:
            self._pipe.interrupts.arrived()
        elif GUARD.stop():  # the cell has ended, and a value of its never does
            raise KeyboardInterrupt

    def _sender(self, message: Message) -> BufferSender:
        shared = bool(message.content.get("shared_arena"))
        return BufferSender(arena=self._arena if shared else None, blobs=self._blobs)

    def _accept(self, units: Any) -> AcceptReport:
        received: list[ReceivedUnit] = list(units)
        if self._references.texts:
            self._references.texts.learn_what_came(received)
        with self._namespace.plain():
            return self._mirror.accept(received)

    def _fetch_file(self, path: str) -> tuple[FileRef, Buffer] | None:
        reply = self._pager.ask("file_request", {"path": path})
        if reply is None or not reply.content.get("file"):
            return None
        file = from_wire(FileRef, reply.content["file"])
        try:
            return (file, self._source.get(file.data, reply.buffers)) if file.data else None
        except NotFound:
            return None

    def _list_folder(self, path: str, name: str, tree: bool) -> tuple[FolderList, ...]:
        reply = self._pager.ask("list_request", {"path": path, "name": name, "tree": tree})
        return tuple(from_wire(FolderList, each) for each in reply.content.get("folders", ())) if reply else ()

    def _link(self, layers: Iterable[str]) -> None:
        link_layers(tuple(layers))
        self._finder.forget()

    def _fetch_package(self, module: str) -> bool:
        if not self._running and not self._preparing:
            return False
        reply = self._pager.ask("package_request", {"module": module})
        if reply is None:
            return False
        if reply.content.get("why"):
            raise ModuleNotFoundError(f"No module named {module!r}: {reply.content['why']}", name=module)
        layers = reply.content.get("layers", [])
        modules = tuple(from_wire(FileRef, entry) for entry in reply.content.get("modules", ()))
        link_layers(layers)
        self._cells.write_modules(modules, reply.buffers)
        return bool(layers or modules)

    def _replace_streams(self) -> None:
        batcher = Batcher()
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream = CellStream(name, number, self._publish_text, batcher)
            batcher.add(stream)
            self._streams.append(stream)
            setattr(sys, name, stream)
        batcher.start()

    def _mend_streams(self) -> None:
        """Put our streams back where a cell left none, or a closed one: nothing could be shown, not even its error."""
        for name, stream in zip(("stdout", "stderr"), self._streams, strict=True):
            there = getattr(sys, name, None)
            if not callable(getattr(there, "write", None)) or getattr(there, "closed", False):
                setattr(sys, name, stream)

    def _publish_in_order(self, message: Message) -> None:
        """Send a display, an error or a comm after what was printed before it."""
        self._write_out()
        self._pipe.send(message)

    def _write_out(self) -> None:
        for stream in self._streams:
            stream.write_out()

    def _publish_text(self, name: str, text: str) -> None:
        content = {"name": name, "text": text}
        self._pipe.send(Message(IOPUB, new_header("stream", "cellburst"), self._kernel.parent_header, {}, content))

    def _publish(self, msg_type: str, content: dict[str, Any], parent: Message) -> None:
        self._pipe.send(Message(IOPUB, new_header(msg_type, "cellburst"), parent.header, {}, content))

    def _status(self, state: str, parent: Message) -> None:
        self._publish("status", {"execution_state": state}, parent)

    def _ask_agent(self, msg_type: str, content: dict[str, Any]) -> dict[str, Any] | None:
        reply = self._pipe.request(Message(STATE, new_header(msg_type, ""), content=content))
        return None if reply is None else reply.content

    def _reply(self, message: Message, content: dict[str, Any], reply: CellReply, inline: tuple[Buffer, ...]) -> None:
        header = new_header("execute_reply", "cellburst")
        self._pipe.send(Message(SHELL, header, message.header, reply_metadata(reply), content, inline))

    def _send(self, channel: str, msg_type: str, content: dict[str, Any]) -> None:
        self._pipe.send(Message(channel, new_header(msg_type, "cellburst"), {}, {}, content))


def main(config: ContainerConfig, kernel: HostedKernel, sock: socket.socket, directory: str) -> None:
    """Be the kernel child of a container; `directory` is the working directory as this process sees it."""
    enter(directory)
    os.environ.update(config.env)
    _put_own_programs_first()
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    reseed()
    Child(config, kernel, sock, directory).run()


def reseed() -> None:
    """Seed the generators that were forked with their state: siblings would draw the same numbers."""
    random.seed()
    numbers, torch = sys.modules.get("numpy.random"), sys.modules.get("torch")
    if numbers is not None:  # numpy loads it late: without it there is no state yet
        numbers.seed()
    if torch is not None:
        torch.seed()


def _put_own_programs_first() -> None:
    """Make `!python` and `%%python` this environment's, as in one that was activated."""
    paths = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys((str(Path(sys.executable).parent), *paths)))


def _place(config: ContainerConfig) -> str:
    count = f":{config.card_count}" if config.card_count > 1 else ""
    return f"{config.card}{count}{' simulated' if config.simulated else ''}"


def placeholders(config: ContainerConfig, directory: str) -> Placeholders:
    """Return what shows the notebook's files in a container's working directory."""
    path = agent_socket(config)
    return Placeholders(Path(directory), Path(path).parent, path, config.arena_dir)


def agent_socket(config: ContainerConfig) -> str:
    """Return the path at which processes that user code forks reach the agent."""
    return str(Path(config.work_dir).parent / "run" / "agent.sock")


def _as_dict(message: Message) -> dict[str, Any]:
    return {
        "header": message.header,
        "msg_id": message.id,
        "msg_type": message.type,
        "parent_header": message.parent_header,
        "metadata": message.metadata,
        "content": message.content,
        "buffers": list(message.buffers),
    }


def _refusal(error: BaseException) -> dict[str, Any]:
    if isinstance(error, CellburstError):
        return _error(type(error).__name__, str(error))
    traceback.print_exc()
    why = f"The container could not get ready for the cell: {type(error).__name__}: {text_of(error)}"
    return _error(CellburstError.__name__, why)


def _error(ename: str, evalue: str) -> dict[str, Any]:
    return {"status": "error", "ename": ename, "evalue": evalue, "traceback": [], "execution_count": 0}
