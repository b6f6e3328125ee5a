"""The keeper of placeholders: a small process that brings a file's content at the moment somebody opens it.

It holds a write lease on every placeholder. The kernel lets whoever opens such a file wait (in any language, in any
process) until the lease is given up, which happens when the content is in it. It has to be a process of its own: the
one that opens may hold the interpreter's lock. What it is told and what it reports are JSON lines on a socket pair.

A file that no lease can be had for is closed to everybody until it is opened by Python, whose hook sees it before.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from kernel_bridge.codecs.arena import Arena
from kernel_bridge.codecs.wire_units import BufferReceiver
from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.cells import FileRef
from kernel_bridge.protocol.messages import STATE, Message, new_header
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.agent.blobs import AgentBlobs
from remote_runtime.agent.folder_scan import TEMPORARY, stamp
from remote_runtime.agent.pipe import ask_once

_LOOK_S: Final = 2.0  # how often it sees whether the process it works for is still there
_DESCRIPTORS: Final = 8192
_SPARE: Final = 64
_MOST_AHEAD: Final = 256
_SMALL_BYTES: Final = 128 << 10  # of what comes unasked, with what was opened
_TRY_AGAIN_AFTER_S: Final = (0.0, 0.2, 1.0, 5.0)  # the connection may be lost for a moment
# The kernel lets in whoever waited for 45 s, and then what is read would be zeros.
_GIVE_UP_AFTER_S: Final = 25.0
_NO_ANSWER: Final = "the notebook did not answer"


@dataclass(slots=True)
class Kept:
    """A placeholder with a lease."""

    path: str
    descriptor: int
    size_bytes: int
    mtime_ns: int
    mode: int


class Keeper:
    """Makes placeholders below one directory and fills them."""

    def __init__(self, root: str, sock: socket.socket, agent_socket: str, arena_dir: str) -> None:
        self._root = root
        self._socket = sock
        self._agent = agent_socket
        self._kept: dict[str, Kept] = {}
        self._unsaid = bytearray()
        self._ahead: dict[str, int] = {}  # folder -> how many more files to bring with the next that is opened
        self._parent: dict[str, Any] = {}  # the running cell's header
        self._until_s = 0.0  # when what is being filled is given up
        arena = Arena(arena_dir)
        self._source = BufferReceiver(arena=arena, blobs=AgentBlobs(self, arena))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        self._most = most - _SPARE

    def run(self) -> None:
        """Serve until the process it works for is gone; then take away what was never opened."""
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGIO, lambda *_: None)
        parent, pending = os.getppid(), b""
        while os.getppid() == parent:
            waiting = [self._socket.fileno()] if self._unsaid else []
            ready, _, _ = select.select([self._socket.fileno(), wake_read], waiting, [], _LOOK_S)
            if wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
            if self._socket.fileno() in ready:
                data = self._socket.recv(1 << 20)
                if not data:
                    break
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
            self._fill_opened()
            self._say()
        for path in list(self._kept):
            self._drop(path)

    def request(self, message: Message, timeout_s: float | None = None) -> Message | None:
        """Ask the agent, or the notebook through it."""
        del timeout_s
        message.parent_header.update(self._parent)
        left_s = self._until_s - time.monotonic()
        return ask_once(self._agent, message, left_s) if left_s > 0 else None

    def _obey(self, order: dict[str, Any]) -> None:
        match order["op"]:
            case "make":
                self._parent = order["parent"]
                made = [self._make(*file) for file in order["files"]]
                self._tell({"made": made})
            case "drop":
                for path in order["paths"]:
                    self._drop(path)
                self._tell({"dropped": len(order["paths"])})
            case "cell":
                self._parent = order["parent"]

    def _tell(self, line: dict[str, Any]) -> None:
        self._unsaid += json.dumps(line).encode() + b"\n"

    def _say(self) -> None:
        """Send what there is to say, as far as it is taken: who listens may be waiting for a file just now."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._unsaid:
                del self._unsaid[: self._socket.send(self._unsaid, socket.MSG_DONTWAIT)]

    def _make(self, path: str, size_bytes: int, mtime_ns: int, mode: int, leased: bool) -> list[Any]:
        """Make one; return its path, its inode, and whether it has a lease. Raises nothing: an inode of 0 is none."""
        target = f"{self._root}/{path}"
        if not leased or len(self._kept) >= self._most:
            return [path, _make_closed(target, size_bytes, mtime_ns), False]
        folder, _, name = target.rpartition("/")
        temporary = f"{folder}/{TEMPORARY}{abs(hash(name)):x}"
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return [path, 0, False]
        try:
            os.ftruncate(descriptor, size_bytes)
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            leased = _lease(descriptor, fcntl.F_WRLCK)
            os.fchmod(descriptor, (mode | 0o200) if leased else 0)
            inode = os.fstat(descriptor).st_ino
            Path(temporary).rename(target)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            return [path, 0, False]
        if leased:
            self._kept[path] = Kept(path, descriptor, size_bytes, mtime_ns, mode)
        else:
            os.close(descriptor)
        return [path, inode, leased]

    def _drop(self, path: str) -> None:
        """Take a placeholder away that nobody has opened; its file goes, unless another is in its place."""
        kept = self._kept.get(path)
        if kept is None:
            return
        if _is_opened(kept.descriptor):
            self._fill(kept)  # somebody waits for it
            return
        del self._kept[path]
        with contextlib.suppress(OSError):
            if os.lstat(f"{self._root}/{path}").st_ino == os.fstat(kept.descriptor).st_ino:
                Path(self._root, path).unlink()
        os.close(kept.descriptor)

    def _fill_opened(self) -> None:
        """Fill what somebody waits for; where the notebook is gone, nobody waits for one file after another."""
        answered = True
        for kept in [kept for kept in self._kept.values() if _is_opened(kept.descriptor)]:
            if kept.path in self._kept:  # not come with another meanwhile
                answered = answered and self._fill(kept)
                if kept.path in self._kept:
                    self._give_up(kept, _NO_ANSWER)

    def _fill(self, kept: Kept) -> bool:
        """Write the content and let in whoever waits; what cannot be had is empty, and goes. Tell whether to go on."""
        self._until_s = time.monotonic() + _GIVE_UP_AFTER_S
        why, more = "", self._next_to(kept.path)
        try:
            reply = self._ask_for(kept.path, more)
            refs = [from_wire(FileRef, ref) for ref in (reply.content["file"], *reply.content.get("more", ()))]
            for ref in refs:
                if ref.path in self._kept and ref.data is not None:
                    self._put(self._kept[ref.path], ref, self._source.get(ref.data, reply.buffers))
        except (CellburstError, OSError) as error:
            why = str(error)
        if kept.path in self._kept:
            self._give_up(kept, why or "its content did not travel")
        return why != _NO_ANSWER

    def _put(self, kept: Kept, ref: FileRef, rest: memoryview) -> None:
        os.ftruncate(kept.descriptor, 0)
        while rest:
            rest = rest[os.write(kept.descriptor, rest) :]
        mtime_ns = ref.mtime_ns or kept.mtime_ns
        os.utime(kept.descriptor, ns=(mtime_ns, mtime_ns))
        self._let_in(kept, digest=ref.digest)

    def _give_up(self, kept: Kept, why: str) -> None:
        os.ftruncate(kept.descriptor, 0)
        with contextlib.suppress(OSError):
            Path(self._root, kept.path).unlink()
        self._let_in(kept, why=why)

    def _let_in(self, kept: Kept, *, digest: str = "", why: str = "") -> None:
        del self._kept[kept.path]
        os.fchmod(kept.descriptor, kept.mode | 0o200)
        mark = stamp(os.fstat(kept.descriptor))  # before anybody can write to it: a later change is known to be one
        self._tell({"filled": kept.path, "stamp": mark, "digest": digest, "why": why})
        self._say()  # before anybody is let in, who may ask why there is nothing
        _lease(kept.descriptor, fcntl.F_UNLCK)
        os.close(kept.descriptor)

    def _next_to(self, path: str) -> list[str]:
        """Return files that are likely to be opened next: the more of a folder were, the more of it comes at once."""
        folder = path.rpartition("/")[0]
        count = self._ahead.get(folder, 0)
        self._ahead[folder] = min(4 * count + 1, _MOST_AHEAD)
        near = (kept.path for kept in self._kept.values() if kept.path != path and kept.size_bytes <= _SMALL_BYTES)
        return list(islice((each for each in near if each.rpartition("/")[0] == folder), count))

    def _ask_for(self, path: str, more: list[str]) -> Message:
        """Ask the notebook for files; raises OSError with its reason."""
        reply = None
        for pause_s in _TRY_AGAIN_AFTER_S:
            if reply is None and time.monotonic() + pause_s < self._until_s:
                time.sleep(pause_s)
                header = new_header("file_request", "")
                reply = self.request(Message(STATE, header, {}, {}, {"path": path, "more": more}))
        if reply is None or not reply.content.get("file"):
            raise OSError(str(reply.content.get("why")) if reply else _NO_ANSWER)
        return reply


def _make_closed(target: str, size_bytes: int, mtime_ns: int) -> int:
    """Make a placeholder that nobody may open, and return its inode, 0 for none. A folder may hold very many."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0)
    except OSError:
        return 0
    try:
        os.ftruncate(descriptor, size_bytes)
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        return os.fstat(descriptor).st_ino
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target)  # noqa: PTH108 - a text
        return 0
    finally:
        os.close(descriptor)


def _lease(descriptor: int, kind: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, kind)
    except (OSError, AttributeError):  # not every system has them
        return False
    return True


def _is_opened(descriptor: int) -> bool:
    """Tell whether somebody waits to open the file, or tried to."""
    return fcntl.fcntl(descriptor, fcntl.F_GETLEASE) != fcntl.F_WRLCK


def main() -> None:
    """Be the keeper: `python -c ... ROOT DESCRIPTOR AGENT_SOCKET ARENA`."""
    root, descriptor, agent_socket, arena_dir = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the cell
    with socket.socket(fileno=int(descriptor)) as sock:
        Keeper(root, sock, agent_socket, arena_dir).run()
