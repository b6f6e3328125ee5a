"""The waiting magic: serves what arrives on a session's channel, on the main thread, until the cell is done."""

from __future__ import annotations

import getpass
import queue
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from jupyter_ext.data_only import harmless_output
from jupyter_ext.desk import Desk
from jupyter_ext.failures import interrupted
from jupyter_ext.outputs import Outputs, show_late
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.status import StatusLine
from kernel_bridge.client.events import Disconnected, Event, Reconnected
from kernel_bridge.errors import CellburstError, NotFound, SessionLost, error_from
from kernel_bridge.protocol.messages import CONTROL, IOPUB, SHELL, STATE, STDIN, Message, new_header
from kernel_bridge.protocol.notes import PeerDown, PeerUp, Progress, Refused, Welcome

_KEPT_LOG_LINES: Final = 20
# A wait for a lock cannot be interrupted on Windows.
_SLICE_S: Final = 0.25 if sys.platform == "win32" else None


@dataclass(slots=True)
class _Running:
    """The cell that is waited for."""

    msg_id: str
    reply: Message | None = None
    begun: bool = False


class Pump:
    """One magic's wait on one session."""

    def __init__(self, shell: Any, session: RemoteSession, desk: Desk, status: StatusLine, outputs: Outputs) -> None:
        self._shell = shell
        self._session = session
        self._desk = desk
        self._status = status
        self._outputs = outputs
        self._cell: _Running | None = None
        self._waits = False  # for a container
        self._replies: dict[str, Message | None] = {}
        self._log: deque[str] = deque(maxlen=_KEPT_LOG_LINES)
        self.cell_began = False  # whether the container had begun the cell that was last sent
        self.phases: set[str] = set()  # what the control plane did for us: queued, building, starting, waking

    def wait_ready(self) -> None:
        """Wait until a container answers; raises what the control plane refuses with."""
        with self._session.alone():
            self.drain()
            if self._session.up and self._session.channel.peer_up:
                return
            self._session.up = False
            self._session.channel.wake()
            self._status.say("starting")
            self._waits = True
            try:
                self._until(lambda: self._session.up)
            finally:
                self._waits = False

    def run(self, message: Message) -> Message:
        """Send a cell and serve it until its reply is here; raises SessionLost, or KeyboardInterrupt."""
        cell = self._cell = _Running(message.id)
        self.cell_began = False
        try:
            self._session.channel.send(message)
            return self._serve_until_done(cell)
        finally:
            self.cell_began, self._cell = cell.begun, None

    def ask(self, msg_type: str, content: dict[str, Any]) -> Message:
        """Ask the container something on the `state` channel and wait; raises NotFound with its reason.

        Raises Conflict where another thread waits for a cell: it would get the answer, or this one the cell's.
        """
        header = new_header(msg_type, self._session.info.id)
        with self._session.alone():
            self._replies[header["msg_id"]] = None
            self._session.channel.send(Message(STATE, header, content=content))
            self._until(lambda: self._replies[header["msg_id"]] is not None or not self._session.up)
        reply = self._replies.pop(header["msg_id"])
        if reply is None:
            raise SessionLost("The container went away before it answered.")
        if reply.content.get("why"):
            raise NotFound(f"{reply.content['why']}.")
        return reply

    def say(self, text: str) -> None:
        """Show how far something has come."""
        self._status.say(text)

    def drain(self) -> None:
        """Serve what has arrived, and wait for nothing: between cells. Raises Conflict as `ask` does."""
        with self._session.alone():
            while True:
                try:
                    event = self._session.channel.events.get_nowait()
                except queue.Empty:
                    return
                self._dispatch(event)

    def _serve_until_done(self, cell: _Running) -> Message:
        interrupts = 0
        while cell.reply is None:  # it is the last message of its cell
            try:
                self._step()
            except KeyboardInterrupt:
                interrupts += 1
                self._interrupt(interrupts)
        return cell.reply

    def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            try:
                self._step()
            except KeyboardInterrupt:
                raise interrupted() from None

    def _step(self) -> None:
        """Serve one event, waiting for it."""
        events = self._session.channel.events
        try:
            event = events.get_nowait()
        except queue.Empty:
            self._outputs.flush()
            event = _get(events)
        self._dispatch(event)

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, Message):
            self._message(event)
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, PeerUp):
            self._peer_up(event)
        elif isinstance(event, PeerDown):
            self._peer_down(event)
        elif isinstance(event, Welcome):
            self._session.info = event.session
        elif isinstance(event, Refused):
            self._refused(event)
        elif isinstance(event, Disconnected):
            self._status.say("the connection is lost; trying again")
        elif isinstance(event, Reconnected) and self._session.up:
            self._status.say("connected again")

    def _message(self, message: Message) -> None:
        cell = self._cell
        ours = cell is not None and message.parent_id == cell.msg_id
        if message.channel == IOPUB:
            self._iopub(message, ours=ours)
        elif message.channel == STATE:
            if message.parent_id in self._replies and message.type.endswith("_reply"):
                self._replies[message.parent_id] = message
            else:
                self._desk.serve(message)
        elif cell is not None and ours and message.channel == SHELL and message.type == "execute_reply":
            cell.reply = message
        elif message.channel == STDIN and message.type == "input_request":
            self._input(message)

    def _iopub(self, message: Message, *, ours: bool) -> None:
        if self._session.mirror.takes_data_only:
            harmless = harmless_output(message)
            if harmless is None:
                return
            message = harmless
        cell = self._cell
        if cell is None or not ours:
            show_late(self._shell, message, self._session.parent_of(message.parent_id))
            return
        cell.begun = True
        self._outputs.show(message)

    def _input(self, message: Message) -> None:
        self._outputs.flush()
        self._status.remove()
        prompt = str(message.content.get("prompt", ""))
        ask = getpass.getpass if message.content.get("password") else input
        try:
            value = ask(prompt)
        except KeyboardInterrupt:
            raise
        except Exception as error:  # noqa: BLE001 - nobody can be asked: the cell must not wait for ever
            print(f"input() is not possible here: {error}", file=sys.stderr)  # noqa: T201 - under the cell
            self._control("interrupt_request")
            return
        header = new_header("input_reply", self._session.info.id)
        content = {"status": "ok", "value": value}
        self._session.channel.send(Message(STDIN, header, message.header, {}, content))

    def _progress(self, note: Progress) -> None:
        self.phases.add(note.phase)
        if note.line:
            self._log.append(note.line)
        text = note.text or note.phase
        self._status.say(f"{text}: {note.line}" if note.line else text)

    def _peer_up(self, note: PeerUp) -> None:
        other = bool(self._session.stream) and note.stream != self._session.stream
        self._session.peer_up(note)
        if other and self._cell is not None and self._cell.reply is None:
            self._cell.begun = True  # for all we know
            raise SessionLost("The container ended while the cell ran; another one has taken its place.")

    def _peer_down(self, note: PeerDown) -> None:
        self._session.up = False
        if not note.final:
            self._status.say("the container's connection is lost; waiting for it")
        elif self._cell is not None and self._cell.reply is None:
            self._cell.begun |= note.running is None or self._cell.msg_id in note.running
            why = f": {note.why.rstrip('.')}" if note.why else ""
            raise SessionLost(f"The container ended while the cell ran{why}. The next cell starts a fresh one.")
        elif self._waits:  # it had gone before we asked, and nobody knew
            self._session.channel.wake()

    def _refused(self, note: Refused) -> None:
        error: CellburstError = error_from(note.code, note.detail)
        for line in self._log if note.code == "build_failed" else ():
            print(line, file=sys.stderr)  # noqa: T201 - the build's last words, under the cell
        raise error

    def _interrupt(self, count: int) -> None:
        """Interrupt the cell; a second time, end the process it runs in; a third time, wait no longer."""
        if count == 1:
            self._status.say("interrupting; once more kills the remote process and its state")
            self._control("interrupt_request")
        elif count == 2:
            self._status.say("killing the remote process")
            self._control("kill_request")
        else:
            raise interrupted()

    def _control(self, msg_type: str) -> None:
        self._session.channel.send(Message(CONTROL, new_header(msg_type, self._session.info.id)))


def _get(events: queue.SimpleQueue[Event]) -> Event:
    while True:
        try:
            return events.get(timeout=_SLICE_S)
        except queue.Empty:
            continue
