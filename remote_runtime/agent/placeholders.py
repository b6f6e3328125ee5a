"""Files of the notebook's that look as if they were here: name, size and time, and no content until it is read."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from kernel_bridge.protocol.cells import FileEntry
from remote_runtime.agent.folder_scan import Stamp

_ANSWER_S: Final = 30.0
_SAID_WITHIN_MS: Final = 5000
_BY_LEASE_BYTES: Final = 64 << 20  # of what Python opens: the kernel lets nobody wait for longer than 45 s
_AT_ONCE: Final = 2000  # so many are made well within it
_START: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv.pop(1)); from remote_runtime.agent.keeper import main; main()"
)


class Placeholders:
    """The placeholders below one directory, and the keeper that brings their content when they are opened."""

    def __init__(self, root: Path, run_dir: Path, agent_socket: str, arena_dir: str) -> None:
        self._root = root
        self._journal = run_dir / "placeholders"  # what a next process has to take away, should this one be killed
        self._arguments = (str(root), agent_socket, arena_dir)
        self._entries: dict[str, FileEntry] = {}
        self._folders: dict[str, set[str]] = {}
        self._inodes: dict[int, str] = {}
        self._inode_of: dict[str, int] = {}
        self._leased: set[str] = set()
        self._filled: dict[str, tuple[Stamp, str]] = {}
        self._refused: dict[str, str] = {}
        self._orphans: dict[str, FileEntry] = {}  # of a keeper that ended: the notebook thinks that they are shown
        self._keeper: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._pending = b""
        self._lock = threading.RLock()
        self.parent: dict[str, Any] = {}
        self.leases_up_to_bytes = _BY_LEASE_BYTES

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def below(self, folder: str) -> list[str]:
        """Return those directly in a folder, which is "" for the top."""
        return list(self._folders.get(folder, ()))

    def lost(self, quiet: Container[str]) -> list[str]:
        """Return those whose file is gone, looking only in folders that are not known to hold what they held."""
        places = [folder for folder in self._folders if folder not in quiet]
        return [path for folder in places for path in self._folders[folder] if not os.path.lexists(self._root / path)]

    def entry(self, path: str) -> FileEntry | None:
        """Return what a placeholder stands for."""
        return self._entries.get(path)

    def changed(self) -> list[str]:
        """Return those that have other permissions, or another time, than they were given."""
        found = []
        for path in self._leased:
            with contextlib.suppress(OSError):
                status, entry = os.lstat(self._root / path), self._entries[path]
                mode = stat.S_IMODE(status.st_mode)
                if (mode, status.st_mtime_ns) != ((entry.mode & 0o777) | 0o200, entry.mtime_ns):
                    found.append(path)
        return found

    def comes_in_time(self, path: str) -> bool:
        """Tell whether a file is small enough to wait for it where it is opened."""
        self._check()
        return path in self._leased and self._entries[path].size_bytes <= _BY_LEASE_BYTES

    def wait_for(self, path: str) -> bool:
        """Wait until the keeper has brought a file; False when it is no more. Raises OSError when it cannot be had.

        The file that was to be is empty then and has no name any more, and whoever opened it would read nothing.
        """
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return True  # whoever opens it is told the same
        try:
            refused = not os.fstat(descriptor).st_nlink
        finally:
            os.close(descriptor)
        if self._is_fork():
            return True
        self._take_in()
        if refused:
            raise OSError(errno.EIO, self._refused.pop(path, "the notebook did not answer"), path)
        while path in self._entries and self._has_said():  # the lease of a keeper that is killed may go before its word
            self._take_in()
        return path in self._filled

    def original_of(self, inode: int) -> str:
        """Return the path of the placeholder with this inode: it may have been renamed; empty for none."""
        return self._inodes.get(inode, "")

    def begin(self, parent: Mapping[str, Any], *, same_host: bool) -> None:
        """Take over a cell: what is opened from now on is brought on its behalf."""
        self._check()
        self.parent = dict(parent)
        self.leases_up_to_bytes = 1 << 62 if same_host else _BY_LEASE_BYTES
        if self._keeper is not None:
            self._send({"op": "cell", "parent": self.parent})
        orphans, self._orphans = self._orphans, {}
        self.make({path: entry for path, entry in orphans.items() if not os.path.lexists(self._root / path)})

    def make(self, entries: Mapping[str, FileEntry]) -> None:
        """Make placeholders, over those that are there."""
        if not entries or self._is_fork():
            return
        with self._lock:
            self.forget([path for path in entries if path in self._entries])
            files = [
                [path, entry.size_bytes, entry.mtime_ns, entry.mode & 0o777, self._may_lease(entry)]
                for path, entry in entries.items()
            ]
            with self._journal.open("a") as journal:
                journal.writelines(f"{json.dumps(path)}\n" for path in entries)
            made: list[Any] = []
            for start in range(0, len(files), _AT_ONCE):
                order = {"op": "make", "files": files[start : start + _AT_ONCE], "parent": self.parent}
                made += self._ask(order, "made") or ()
            for path, inode, leased in made:
                if inode:
                    self._entries[path] = entries[path]
                    self._folders.setdefault(path.rpartition("/")[0], set()).add(path)
                    self._inodes[inode], self._inode_of[path] = path, inode
                    self._leased |= {path} if leased else set()

    def forget(self, paths: Iterable[str]) -> None:
        """Take placeholders away that nobody has opened."""
        paths = [path for path in paths if path in self._entries]
        if not paths or self._is_fork():
            return
        with self._lock:
            leased = [path for path in paths if path in self._leased]
            if leased:
                self._ask({"op": "drop", "paths": leased}, "dropped")
            for path in paths:
                if path in self._entries and path not in self._leased:
                    with contextlib.suppress(OSError):
                        os.unlink(self._root / path)  # noqa: PTH108 - a link is not followed either way
                self.lose(path)

    def lose(self, path: str) -> None:
        """Note that a placeholder is none any more: something else is in its place."""
        if self._entries.pop(path, None) is None:
            return
        self._folders[path.rpartition("/")[0]].discard(path)
        self._leased.discard(path)
        self._inodes.pop(self._inode_of.pop(path, 0), None)

    def take_filled(self) -> dict[str, tuple[Stamp, str]]:
        """Return the files whose content came since the last call, with what they were then and their digests."""
        if self._keeper is not None and not self._is_fork():
            self._take_in()
        filled, self._filled = self._filled, {}
        return filled

    def take_refused(self) -> dict[str, str]:
        """Return the files that were opened and could not be brought, and why."""
        refused, self._refused = self._refused, {}
        return refused

    def clear_leftovers(self) -> None:
        """Take away what an earlier process could not: placeholders that look like files and hold nothing."""
        try:
            lines = self._journal.read_text().splitlines()
        except OSError:
            return
        for line in lines:
            with contextlib.suppress(OSError, ValueError):
                path = self._root / str(json.loads(line))
                status = path.lstat()
                if path.resolve().is_relative_to(self._root.resolve()) and status.st_size and not status.st_blocks:
                    path.unlink()
        self._journal.unlink(missing_ok=True)

    def _may_lease(self, entry: FileEntry) -> bool:
        return not entry.why and entry.size_bytes <= self.leases_up_to_bytes

    def _is_fork(self) -> bool:
        return os.getpid() != self._owner

    def _take_in(self) -> None:
        with self._lock:
            try:
                if self._keeper is not None:
                    self._hear(wait_for="")
            except OSError:
                self._end()

    def _has_said(self) -> bool:
        if self._keeper is None:
            return False
        ears = select.poll()
        ears.register(self._keeper, select.POLLIN)
        return bool(ears.poll(_SAID_WITHIN_MS))

    def _check(self) -> None:
        """See whether the keeper still runs: a cell may have killed it, or the kernel for want of memory."""
        if self._process is not None and not self._is_fork() and self._process.poll() is not None:
            self._take_in()

    def _ask(self, order: dict[str, Any], answer: str) -> Any:
        try:
            if self._keeper is None:
                self._keeper = self._start()
            self._send(order)
            return self._hear(wait_for=answer)
        except OSError:
            self._end()
            return None

    def _send(self, order: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):
            assert self._keeper is not None  # noqa: S101 - started by who asks
            self._keeper.sendall(json.dumps(order).encode() + b"\n")

    def _hear(self, *, wait_for: str) -> Any:
        """Take in what the keeper says, until it says the line that is waited for; raises OSError when it does not."""
        while True:
            while b"\n" in self._pending:
                line, _, self._pending = self._pending.partition(b"\n")
                said = json.loads(line)
                if "filled" in said:
                    self._note_filled(said)
                elif wait_for in said:
                    return said[wait_for]
            assert self._keeper is not None  # noqa: S101 - started by who asks
            self._keeper.settimeout(_ANSWER_S if wait_for else 0)
            try:
                data = self._keeper.recv(1 << 20)
            except BlockingIOError:
                return None
            finally:
                if self._keeper.fileno() >= 0:
                    self._keeper.settimeout(None)
            if not data:
                raise BrokenPipeError("the keeper of placeholders has ended")
            self._pending += data

    def _note_filled(self, said: Mapping[str, Any]) -> None:
        path = str(said["filled"])
        self.lose(path)
        if said["why"]:
            self._refused[path] = str(said["why"])
        else:
            self._filled[path] = (tuple(said["stamp"]), str(said["digest"]))

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        root, agent_socket, arena = self._arguments
        paths = json.dumps([path for path in sys.path if path])
        command = [sys.executable, "-I", "-S", "-c", _START, paths, root, str(theirs.fileno()), agent_socket, arena]
        # A session of its own: what a terminal's Ctrl-C or a cell's killpg is meant for does not reach it.
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], start_new_session=True, stdin=subprocess.DEVNULL
        )
        theirs.close()
        return ours

    def _end(self) -> None:
        """Do without the keeper: its leases are gone, so what it kept must not be taken for files."""
        if self._keeper is not None:
            self._keeper.close()
        self._keeper, self._process, self._pending = None, None, b""
        self._leased.clear()
        self._orphans |= self._entries
        self.forget(list(self._entries))
