"""The agent's end of its connections to the kernel child: one socket of frames, two pipes of plain output."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import fcntl
import os
import socket
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.framing import Frames, frame
from kernel_bridge.protocol.messages import STATE, glance, peek_channel
from remote_runtime.agent.pipe import DRAIN

_READ_BYTES: Final = 1 << 20
_PIPE_BYTES: Final = 64 << 10  # what a pipe holds unless somebody enlarged it


class ChildLink:
    """Reads and writes without blocking the agent; keeps frames and piped output in the order they were written."""

    def __init__(
        self,
        descriptors: list[int],
        pid: int,
        on_body: Callable[[bytes], None],
        on_text: Callable[[str, str], None],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._before = before  # whatever is sent: the child may have to be made able to read it
        self._socket = socket.socket(fileno=descriptors[0])
        self._socket.setblocking(False)
        self._pid = pid
        self._on_body = on_body
        self._on_text = on_text
        self._frames = Frames()
        self._lying: dict[int, int] = {}  # bytes of each pipe that were there before the socket was looked at
        self._paused = False
        self._unsent = bytearray()
        self._expected: dict[str, asyncio.Future[bytes]] = {}
        self._pipes = {descriptors[1]: "stdout", descriptors[2]: "stderr"}
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in self._pipes.values()}
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read_socket)
        for descriptor in self._pipes:
            os.set_blocking(descriptor, False)
            loop.add_reader(descriptor, self._read_pipes, descriptor)

    def send(self, body: bytes) -> None:
        """Send a message to the child; or complete the request of a forked process it answers."""
        if peek_channel(body) == STATE and self._expected:
            waiting = self._expected.pop(str(glance(body).parent_header.get("msg_id")), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(body)
                return
        for piece in frame([body]):
            self._unsent += piece
        self._before()
        self._write()

    def expect(self, msg_id: str, future: asyncio.Future[bytes]) -> None:
        """Give the answer to this request to a future and not to the child."""
        self._expected[msg_id] = future

    def pause(self, *, on: bool) -> None:
        """Read no further, so that what the child writes next waits; or go on."""
        if on is self._paused:
            return
        self._paused = on
        loop = asyncio.get_running_loop()
        if on:
            loop.remove_reader(self._socket)
            for descriptor in self._pipes:
                loop.remove_reader(descriptor)
        else:
            loop.add_reader(self._socket, self._read_socket)
            for descriptor in self._pipes:
                loop.add_reader(descriptor, self._read_pipes, descriptor)

    def rss_bytes(self) -> int:
        """Return the child's resident memory, 0 where it cannot be read."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0

    def close(self) -> None:
        """Read what is left, then let go of everything."""
        self._paused = False
        self._read_socket()
        self._read_pipes()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        for descriptor in self._pipes:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._pipes = {}
        self._socket.close()

    def _read_socket(self) -> None:
        while not self._paused:
            try:
                data = self._socket.recv(_READ_BYTES)
            except (BlockingIOError, ConnectionResetError):
                return
            if not data:
                asyncio.get_running_loop().remove_reader(self._socket)
                return
            for flags, body in self._frames.feed(data):
                if flags & DRAIN:  # what lies in the pipes was written first
                    self._drain()
                self._on_body(body)

    def _read_pipes(self, readable: int = -1) -> None:
        # A frame that carries no DRAIN was sent while the pipes were empty: it comes before what lies in them now. What
        # is written to them from here on is left for the next time, for a frame that precedes it may be written too.
        self._lying = {descriptor: _unread(descriptor) for descriptor in self._pipes}
        ended = self._lying.get(readable) == 0  # readable, and nothing in it: every writer is gone
        with contextlib.suppress(OSError):
            self._read_socket()
        for descriptor, size_bytes in self._lying.items():
            self._read_pipe(descriptor, size_bytes)
        if ended:
            asyncio.get_running_loop().remove_reader(readable)

    def _drain(self) -> None:
        # As much as a pipe holds, not until it is empty: a process that writes without end would keep us here.
        self._lying = {}
        for descriptor in self._pipes:
            self._read_pipe(descriptor, _PIPE_BYTES)

    def _read_pipe(self, descriptor: int, size_bytes: int) -> None:
        name = self._pipes[descriptor]
        while size_bytes > 0:
            try:
                data = os.read(descriptor, min(size_bytes, _READ_BYTES))
            except BlockingIOError:
                return
            if not data:
                return
            size_bytes -= len(data)
            if text := self._decoders[name].decode(data):
                self._on_text(name, text)

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:  # the child is gone: the supervisor says so in a moment
            self._unsent.clear()
            return
        del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._socket, self._write)
        else:
            loop.remove_writer(self._socket)


def _unread(descriptor: int) -> int:
    """Return how many bytes lie in a pipe."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
