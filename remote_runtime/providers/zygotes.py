"""Warm parents: one process an owner and environment that has imported much, run nothing, and forks containers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kernel_bridge.errors import StartFailed
from remote_runtime.providers.requests import Request
from remote_runtime.providers.sandbox import Sandbox

ZYGOTE: Final = "remote_runtime.agent.zygote"
SUPERVISOR: Final = "remote_runtime.agent.supervisor"
READY_WITHIN_S: Final = 60.0  # a first import of torch from a cold disk
_LONGEST_SOCKET_PATH: Final = 100  # 108 bytes on Linux, 104 on macOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Breed:
    """What tells one zygote from another: nothing of one person's environment runs in the parent of another's cells."""

    owner: str
    python: str
    preload: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return a short name for files."""
        return hashlib.sha256("\0".join([self.owner, self.python, *self.preload]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """How a program of ours is started in somebody's environment."""

    payload: Path
    env: Mapping[str, str]

    def spawn(
        self, command: Sequence[str], log: Path, *, told: int = subprocess.DEVNULL, inherited: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, with our packages to import; raises StartFailed."""
        env = {**self.env, "PYTHONPATH": str(self.payload), "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as output:
            try:
                return subprocess.Popen(
                    list(command),
                    stdin=told,
                    stdout=output,
                    stderr=output,
                    cwd=self.payload,
                    env=env,
                    start_new_session=True,
                    pass_fds=inherited,
                )
            except OSError as error:
                raise StartFailed(f"The environment's Python did not start: {error}.") from error


class Zygotes:
    """The zygotes of this control plane, started when first needed and again when they are gone."""

    def __init__(self, launcher: Launcher, sandbox: Sandbox, directory: Path) -> None:
        self._launcher = launcher
        self._sandbox = sandbox
        self._logs = directory
        self._sockets = _socket_directory(directory)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def fork(self, breed: Breed, request: Request) -> dict[str, Any]:
        """Have a container forked and return what it says of itself; raises StartFailed with the end of the log."""
        path = await self.ensure(breed)
        try:
            answer = await asyncio.to_thread(_ask, path, request)
        except (OSError, ValueError) as error:
            who = "A container's parent process" if self._processes[breed.key].poll() is not None else "The container"
            raise StartFailed(f"{who} ended at once: {_tail(self._log(breed.key)) or 'it was killed'}") from error
        if "pid" not in answer:
            raise StartFailed(f"The container did not start: {answer.get('error', 'its parent said nothing')}.")
        return answer

    async def ensure(self, breed: Breed) -> Path:
        """Return the socket of a zygote that runs, or warms up; raises StartFailed."""
        path = self._sockets / f"{breed.key}.sock"
        async with self._locks.setdefault(breed.key, asyncio.Lock()):
            running = self._processes.get(breed.key)
            if running is None or running.poll() is not None:
                self._processes[breed.key] = await asyncio.to_thread(self._spawn, breed, path)
        return path

    def close(self) -> None:
        """Ask every zygote to end. The containers they forked run on."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._sockets != self._logs:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _spawn(self, breed: Breed, path: Path) -> subprocess.Popen[bytes]:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _listening(path) as listener, ExitStack() as opened:
            command, inherited = self._sandbox.command(breed.owner, Path(breed.python), ZYGOTE, opened)
            command += ["--listen", str(listener.fileno()), "--owner-pid", str(os.getpid())]
            command += ["--preload", ",".join(breed.preload)]
            # Only the zygote keeps the socket: when it is gone, whoever waits for an answer is told.
            return self._launcher.spawn(command, self._log(breed.key), inherited=(listener.fileno(), *inherited))

    def _log(self, key: str) -> Path:
        return self._logs / f"{key}.log"


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(64)
    return listener


def _ask(path: Path, request: Request) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(READY_WITHIN_S)
        connection.connect(str(path))
        sent = socket.send_fds(connection, [request.text], list(request.descriptors))
        if rest := request.text[sent:]:  # to send nothing fails, too, once the zygote has answered and hung up
            connection.sendall(rest)
        line = connection.makefile("rb").readline()
    answer = json.loads(line)
    return answer if isinstance(answer, dict) else {}


def _socket_directory(directory: Path) -> Path:
    """Return where the sockets may lie: the kernel wants short paths, and people have long ones."""
    if len(str(directory)) + 24 <= _LONGEST_SOCKET_PATH:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory
    # The same at every start, so that there is one for a runtime folder however often it starts.
    key = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    short = Path(tempfile.gettempdir(), f"cellburst-{os.getuid()}-{key}")
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077:
        return short
    return Path(tempfile.mkdtemp(prefix="cellburst-"))  # somebody else took the name


def _tail(log: Path) -> str:
    """Return the last thing a process said that is no line of our own log: what an interpreter dies with."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines and not lines[-1].startswith("{") else ""
