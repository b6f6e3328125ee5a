"""The kernel child's end of its socket to the agent: frames out from any thread, frames in on a thread of their own.

The reading thread runs no user code: it completes the requests that wait (paging, files, packages, input), and hands
everything else to the main thread's loop. In a process that user code forked, the socket belongs to the parent; such a
process opens a connection of its own to the agent's socket in the container when it first has to ask something.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
import os
import socket
import struct
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Final

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.framing import Frames, frame
from kernel_bridge.protocol.messages import Buffer, Message, decode, encode
from remote_runtime.agent.interrupts import Interrupts
from remote_runtime.agent.unix_path import addressable

log = logging.getLogger("cellburst.child")

DRAIN: Final = 1  # flag: what lies in the pipes of fd 1 and 2 was written before this frame
_READ_BYTES: Final = 1 << 20
_EMPTIED_WITHIN_MS: Final = 20
_IOV_MAX: Final = 512


@dataclass(slots=True)
class _Waiting:
    """A request whose reply some thread waits for."""

    done: threading.Event = field(default_factory=threading.Event)
    reply: Message | None = None


class Pipe:
    """Frames to and from the agent."""

    def __init__(self, sock: socket.socket, *, agent_socket: str) -> None:
        self._socket = sock
        self._agent_socket = agent_socket
        self.interrupts = Interrupts()
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._owner = os.getpid()
        os.register_at_fork(after_in_child=self._forked)

    @property
    def forked(self) -> bool:
        """Tell whether this process is one that user code forked."""
        return os.getpid() != self._owner

    def send(self, message: Message) -> None:
        """Send a message; in a forked process it is dropped (its output goes through the pipes instead)."""
        if self.forked:
            return
        pieces = encode(message)
        with self.interrupts.held(), self._lock:
            _send_all(self._socket, frame(pieces, 0 if _pipes_emptied() else DRAIN))

    def request(self, message: Message, timeout_s: float | None = None) -> Message | None:
        """Ask from wherever user code runs and wait for the answer; None when there is nobody to answer in time."""
        return ask_once(self._agent_socket, message, timeout_s) if self.forked else self.ask(message, timeout_s)

    def ask(self, message: Message, timeout_s: float | None = None) -> Message | None:
        """Send a message and wait until the reply whose parent it is arrives; a signal interrupts the wait.

        None when nobody answers in time, and in a forked process, whose questions go another way if they may be asked.
        """
        if self.forked:
            return None
        waiting = self._waiting[message.id] = _Waiting()
        deadline_s = math.inf if timeout_s is None else monotonic() + timeout_s
        try:
            self.send(message)
            while not waiting.done.wait(0.5) and monotonic() < deadline_s:
                pass
        finally:
            self._waiting.pop(message.id, None)
        return waiting.reply

    def read(self, deliver: Callable[[Message], None]) -> None:
        """Read until the agent is gone, completing what waits and delivering the rest; run this on its own thread."""
        frames = Frames()
        while data := self._receive():
            for _flags, body in frames.feed(data):
                try:
                    message = decode(body)
                except BadRequest as error:  # whoever said it; the next one may be sound
                    log.warning("a message that cannot be read is skipped: %s", error)
                    continue
                waiting = self._waiting.get(message.parent_id)
                if waiting is None:
                    deliver(message)
                else:
                    waiting.reply = message
                    waiting.done.set()
        for waiting in list(self._waiting.values()):
            waiting.done.set()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_READ_BYTES)
        except OSError:
            return b""

    def _forked(self) -> None:
        """Run in a child that user code forked: forget the parent's socket and locks."""
        self._lock = threading.Lock()
        self._waiting = {}
        with contextlib.suppress(OSError):
            self._socket.close()


def ask_once(agent_socket: str, message: Message, timeout_s: float | None = None) -> Message | None:
    """Ask the agent by its socket, and the notebook through it; None when nobody answers in time."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, addressable(agent_socket) as address:
            sock.settimeout(timeout_s)
            sock.connect(address)
            _send_all(sock, frame(encode(message)))
            frames = Frames()
            while data := sock.recv(_READ_BYTES):
                for _flags, body in frames.feed(data):
                    return decode(body)
    except OSError:
        return None
    return None


def _pipes_emptied() -> bool:
    """Wait a moment until the agent has read what was written before; who writes without end is not outwaited.

    The flag alone would not do: what is written after the frame could be in the pipe, too, when the agent sees it.
    """
    for _ in range(_EMPTIED_WITHIN_MS):
        if not any(_pending_bytes(descriptor) for descriptor in (1, 2)):
            return True
        sleep(0.001)
    return False


def _pending_bytes(descriptor: int) -> int:
    try:
        answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    except OSError:  # user code closed it or put a file there
        return 0
    return int(struct.unpack("i", answer)[0])


def _send_all(sock: socket.socket, pieces: list[Buffer]) -> None:
    if sum(len(piece) for piece in pieces) < _READ_BYTES:
        sock.sendall(b"".join(pieces))
        return
    views = [memoryview(piece) for piece in pieces if len(piece)]
    while views:
        sent = sock.sendmsg(views[:_IOV_MAX])
        while views and sent >= len(views[0]):
            sent -= len(views.pop(0))
        if sent:
            views[0] = views[0][sent:]
