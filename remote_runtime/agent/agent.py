"""The agent: stands between the kernel child and the control plane, and outlives user code.

It listens nowhere but on a unix socket inside the container, for processes that user code forks. It knows which cell
runs, ends it when its time is over, has the state saved, and tells the notebook how a child that died ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.cells import METADATA_KEY, CellReply
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.messages import (
    CONTROL,
    SHELL,
    STATE,
    Message,
    decode,
    encode,
    glance,
    new_header,
    peek_channel,
)
from kernel_bridge.protocol.notes import AgentWelcome, ChildEnded, Hibernate, Note, PeerDown, Saved, Stop
from kernel_bridge.protocol.wire import from_wire, to_wire
from remote_runtime.agent import container_log
from remote_runtime.agent.blob_service import BlobService
from remote_runtime.agent.child import agent_socket
from remote_runtime.agent.child_link import ChildLink
from remote_runtime.agent.container_log import write_for_child
from remote_runtime.agent.disk import DiskWatch, folders_of, limits_of
from remote_runtime.agent.forks import ForkServer
from remote_runtime.agent.freezer import Freezer
from remote_runtime.agent.limits import Watch
from remote_runtime.agent.line import Line
from remote_runtime.agent.memory import watch_memory
from remote_runtime.agent.redaction import Gate
from remote_runtime.agent.valve import Valve

log = logging.getLogger("cellburst.agent")


class Agent:
    """One container's middleman."""

    def __init__(self, config: ContainerConfig, supervisor: socket.socket, watch: Watch) -> None:
        self._config = config
        self._supervisor = supervisor
        self._watch = watch
        self._disk = DiskWatch(folders_of(config), limits_of(config), self._kill_cell)
        self._line = Line(config, self._to_child, self._heed)
        self._line.rss_bytes = lambda: self._child.rss_bytes() if self._child else 0
        self._freezer = Freezer(watch, config.freeze_after_s, self._ask_how_it_rests, self._is_needed)
        self._freezer.on_change = self._frozen
        self._valve = Valve()
        self._line.on_full = self._valve.press
        self._gate = Gate(config, self._line.send)
        self._gate.guard_logs(log.name)
        self._child: ChildLink | None = None
        self._cell: dict[str, Any] | None = None  # the running cell's header
        self._deadline: asyncio.TimerHandle | None = None
        self._killed_for = ""  # why we ended the child ourselves
        self._early: list[bytes] = []  # what arrived before the child was there
        self._blobs = BlobService(config)
        self._saved: asyncio.Future[dict[str, Any] | None] | None = None
        self._last_word: Saved | None = None  # what the control plane was not there to hear
        self._ended = asyncio.Event()
        self._ready = asyncio.Event()
        self._born = asyncio.Event()  # there is a child
        self._child_answered = False  # the one that runs now
        self._cause = "stopped"
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Live until the control plane says stop, or has been gone for too long."""
        loop = asyncio.get_running_loop()
        self._supervisor.setblocking(False)
        loop.add_reader(self._supervisor, self._hear_supervisor)
        forks = ForkServer(agent_socket(self._config), self._ask_for_fork)
        await forks.start()
        async with self._group:
            self._start(asyncio.to_thread(self._watch.enter_agent))  # the kernel takes its time
            always = (self._stay_connected(), self._watch_silence(), self._disk.run(), self._freezer.run())
            tasks = [self._start(work) for work in always]
            if self._config.memory_bytes and not self._watch.bounds_memory:
                most = self._config.memory_bytes
                tasks.append(self._start(watch_memory(os.getppid(), most, self._is_busy, self._kill_cell)))
            await self._ended.wait()
            for task in tasks:
                task.cancel()
        await forks.stop()
        saved = to_wire(self._last_word) if self._last_word else None
        self._tell_supervisor({"op": "end", "cause": self._cause, "saved": saved})

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    # -- the control plane ------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        await self._line.hold(self._ready)
        self._ended.set()

    async def _watch_silence(self) -> None:
        """Save and end when the control plane has been gone for longer than the container may go on without it."""
        while True:
            await asyncio.sleep(1.0)
            if self._cell is None and self._line.silent_s > self._config.runtime_lost_after_s:
                log.warning("no control plane for %d s: saving and ending", self._line.silent_s)
                self._last_word = await self._save()
                failed = self._last_word.failed if self._last_word is not None else ""
                if failed:
                    log.error("the state cannot be saved: %s", failed)
                # Nobody may come back, and nobody may live for ever by being impossible to save.
                if not failed or self._line.silent_s > self._config.runtime_lost_after_s + DEFAULTS.unsaved_kept_s:
                    self._ended.set()

    def _heed(self, heard: Note) -> None:
        match heard:
            case Hibernate():
                self._start(self._hibernate())
            case Stop():
                self._ended.set()
            case AgentWelcome() | PeerDown():
                pass
            case _:
                log.warning("a note of kind %s is not for agents", heard.kind)

    # -- the child --------------------------------------------------------------------------------------------------

    def _to_child(self, body: bytes) -> None:
        """Hand a message of the notebook to the child, or act on it where it is for us."""
        channel = peek_channel(body)
        began = False
        if channel == CONTROL:
            self._control(decode(body))
            return
        if channel == SHELL:
            head = glance(body)
            if head.header.get("msg_type") == "execute_request":
                self._cell, self._line.busy = head.header, True
                self._disk.cell_began()
                began = True
        elif channel == STATE and self._cell is not None and glance(body).header.get("msg_type") == "state_request":
            self._line.send(encode(_reply(decode(body), {"busy": True})))  # the child would answer after the cell
            return
        if self._child is None:
            self._early.append(body)
        else:
            self._child.send(body)
        if began:  # after it was handed on: nobody waits for this line
            log.info("cell began", extra=self._cell_ids())

    def _control(self, message: Message) -> None:
        log.info("asked for: %s", message.type, extra=self._cell_ids())
        if message.type == "interrupt_request":
            self._valve.listen(on=self._cell is not None)  # else the output of the next one would be left out
            self._signal(signal.SIGINT)
            self._line.send(encode(_reply(message, {"status": "ok"})))
        elif message.type == "kill_request":
            self._kill_cell("killed, as you asked")

    def _from_child(self, body: bytes) -> None:
        channel = peek_channel(body)
        if (channel == STATE and self._is_for_us(body)) or not self._valve.takes(body):
            return
        if channel == SHELL and glance(body).header.get("msg_type") == "execute_reply":
            self._tell_of_crowd()
            self._stop_listening()
            ids = self._cell_ids()
            self._cell_ended()
            self._gate.send(body)
            log.info("cell ended", extra=ids)
            return
        self._gate.send(body)

    def _stop_listening(self) -> None:
        """Let output wait again, and say how much was left out meanwhile."""
        self._valve.listen(on=False)
        if missing := self._valve.left_out():
            self._gate.write("stderr", missing, self._cell or {})

    def _from_pipes(self, name: str, text: str) -> None:
        """Turn what a subprocess wrote into output of the running cell."""
        if not self._child_answered:
            log.error("the kernel child cannot start: %s", text.rstrip())
        elif self._valve.takes_text(text):
            self._gate.write(name, text, self._cell or {})

    def _tell_of_crowd(self) -> None:
        if crowd := self._watch.describe_crowd():
            self._from_pipes("stderr", f"cellburst: {crowd}\n")

    def _is_busy(self) -> bool:
        return self._cell is not None

    def _is_needed(self) -> bool:
        saves = self._saved is not None and not self._saved.done()
        return self._cell is not None or saves or not self._child_answered

    def _ask_how_it_rests(self) -> str:
        request = Message(STATE, new_header("rest_request", "cellburst"))
        if self._child is not None:
            self._child.send(b"".join(encode(request)))
        return request.id

    def _hear_how_it_rests(self, message: Message) -> None:
        self._freezer.hear(message.parent_id, message.content)

    def _frozen(self, frozen: bool) -> None:
        self._line.frozen = frozen
        if frozen:  # that it goes on shows in what it was needed for
            self._line.beat()

    def _kill_cell(self, cause: str) -> None:
        self._killed_for = cause
        log.warning("the child is %s", cause, extra=self._cell_ids())
        self._signal(signal.SIGKILL)

    def _cell_ended(self) -> None:
        self._cell, self._line.busy = None, False
        self._disk.cell_ended()
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
            "volume_request": self._serve_blob,
            "save_reply": self._note_saved,
            "rest_reply": self._hear_how_it_rests,
            "log": self._write_log,
        }
        action = actions.get(str(head.header.get("msg_type")))
        if action is None:
            return False
        action(decode(body))
        return True

    def _write_log(self, message: Message) -> None:
        write_for_child(message.content, self._config, self._gate.strike)

    def _cell_ids(self) -> dict[str, str]:
        return {"cell_id": str(self._cell.get("msg_id", "")) if self._cell else ""}

    def _child_ready(self, message: Message) -> None:
        self._line.epoch = str(message.content.get("epoch", self._line.epoch))  # another where nothing could be read
        self._child_answered = True
        self._ready.set()

    def _set_deadline(self, message: Message) -> None:
        def overdue() -> None:
            self._kill_cell(f"killed {DEFAULTS.kill_after_s:g} s after its time limit of {limit_s:g} s")

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
        if not self._line.connected or self._child is None:
            return None
        message = decode(body)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._child.expect(message.id, future)
        if message.type in ("blob_get_request", "blob_put_request", "volume_request"):
            self._serve_blob(message)
        else:
            self._line.send([body])
        try:
            # A running cell's notebook waits for it, and answers however long that takes.
            return await asyncio.wait_for(future, None if self._is_busy() else DEFAULTS.page_timeout_s)
        except TimeoutError:
            return None

    async def _hibernate(self) -> None:
        saved = await self._save()
        if saved is None and await self._has_another_child():
            saved = await self._save()
        if saved is None:
            saved = Saved(names=(), lost={}, size_bytes=0, epoch=self._line.epoch, failed="its process ended meanwhile")
        self._line.tell(saved)

    async def _has_another_child(self) -> bool:
        """Wait for the child that takes the place of one that ended while it saved; False when none comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEFAULTS.start_timeout_s):
                await self._born.wait()
        return self._born.is_set()

    async def _save(self) -> Saved | None:
        """Have the child save its namespace; a cell that still runs is interrupted first."""
        if self._child is None:
            return None
        self._valve.listen(on=True)
        if self._cell is not None:
            self._signal(signal.SIGINT)
        if self._saved is None or self._saved.done():
            self._saved = asyncio.get_running_loop().create_future()
            request = Message(STATE, new_header("save_request", "cellburst"))
            self._child.send(b"".join(encode(request)))
        report = await self._saved
        self._valve.listen(on=False)
        if report is None:
            return None
        struck = self._gate.redactor.strike_all(report)  # why something is lost may quote it
        return from_wire(Saved, {"names": [], "lost": {}, "size_bytes": 0, "epoch": self._line.epoch} | struck)

    def _note_saved(self, message: Message) -> None:
        if self._saved is not None and not self._saved.done():
            self._saved.set_result(message.content)

    # -- the supervisor ---------------------------------------------------------------------------------------------

    def _signal(self, number: int) -> None:
        self._freezer.touch()
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
                before = self._freezer.touch
                self._child = ChildLink(descriptors, event["pid"], self._from_child, self._from_pipes, before)
                self._valve.attach(self._child)
                self._born.set()
                for body in self._early:
                    self._child.send(body)
                self._early.clear()
            elif event["event"] == "ended":
                self._child_ended(event)

    def _child_ended(self, event: dict[str, Any]) -> None:
        """Tell the notebook how the child ended, and start another with an empty namespace."""
        cause = self._killed_for or str(event["cause"])
        self._killed_for = ""
        self._freezer.touch()
        if self._child is not None:
            self._valve.attach(None)
            self._born.clear()
            self._child.close()
            self._child = None
        if self._saved is not None and not self._saved.done():
            self._saved.set_result(None)  # it ended while it saved: the state before stays
        if not self._child_answered:  # another would end the same way; the log has what this one said
            self._cause = f"its kernel could not start: {cause}; its log says more"
            self._ended.set()
        self._child_answered = False
        if self._ended.is_set():
            return
        self._line.epoch = new_id("epoch")
        log.warning("the child ended: %s", cause, extra=self._cell_ids())
        self._stop_listening()
        if self._cell is not None:
            self._tell_of_crowd()
            self._gate.send(b"".join(encode(self._death_notice(cause))))
            self._cell_ended()
        self._line.tell(ChildEnded(cause=cause, epoch=self._line.epoch))
        self._tell_supervisor({"op": "spawn", "epoch": self._line.epoch})

    def _death_notice(self, cause: str) -> Message:
        reply = CellReply(epoch=self._line.epoch)
        content = {
            "status": "error",
            "ename": "SessionLost",
            "evalue": f"The cell's process ended: {cause}. Its remote variables are gone; the next cell starts afresh.",
            "traceback": [],
            "execution_count": 0,
        }
        header = new_header("execute_reply", "cellburst")
        return Message(SHELL, header, self._cell or {}, {METADATA_KEY: to_wire(reply)}, content)


def _reply(message: Message, content: dict[str, Any]) -> Message:
    header = new_header(message.type.removesuffix("_request") + "_reply", "cellburst")
    return Message(message.channel, header, message.header, {}, content)


def main(config: ContainerConfig, supervisor: socket.socket, watch: Watch) -> None:
    """Be the agent of a container."""
    os.environ.clear()  # the cell's environment, and its secrets, are not the agent's
    container_log.begin("agent", config)
    Path(agent_socket(config)).unlink(missing_ok=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(Agent(config, supervisor, watch).run())
    except CellburstError:
        log.exception("the agent ended")
