"""Warm parents: one process an environment that has imported much, run nothing, and forks containers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kernel_bridge.errors import StartFailed

ZYGOTE: Final = "remote_runtime.agent.zygote"
SUPERVISOR: Final = "remote_runtime.agent.supervisor"
READY_WITHIN_S: Final = 60.0  # a first import of torch from a cold disk
_LONGEST_SOCKET_PATH: Final = 100  # 108 bytes on Linux, 104 on macOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """How a program of ours is started in somebody's environment."""

    payload: Path
    env: Mapping[str, str]

    def spawn(self, python: str, module: str, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start `python -m module` in a session of its own; raises StartFailed."""
        env = {**self.env, "PYTHONPATH": str(self.payload), "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as output:
            try:
                return subprocess.Popen(
                    [python, "-m", module, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.payload,
                    env=env,
                    start_new_session=True,
                )
            except OSError as error:
                raise StartFailed(f"The environment's Python did not start: {error}.") from error


class Zygotes:
    """The zygotes of this control plane, started when first needed and again when they are gone."""

    def __init__(self, launcher: Launcher, directory: Path) -> None:
        self._launcher = launcher
        self._logs = directory
        self._sockets = _socket_directory(directory)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ready: set[str] = set()

    async def fork(self, python: str, preload: Sequence[str], config: Path) -> dict[str, Any]:
        """Have a container forked and return what the zygote says of it; raises StartFailed."""
        path = await self.ensure(python, preload)
        try:
            answer = await _ask(path, {"config": str(config)})
        except (OSError, ValueError) as error:
            raise StartFailed(f"The container's parent process went away: {error}.") from error
        if "pid" not in answer:
            raise StartFailed(f"The container did not start: {answer.get('error', 'its parent said nothing')}.")
        return answer

    async def ensure(self, python: str, preload: Sequence[str]) -> Path:
        """Return the socket of a zygote that answers; raises StartFailed with the end of its log."""
        key = hashlib.sha256("\0".join([python, *preload]).encode()).hexdigest()[:16]
        path = self._sockets / f"{key}.sock"
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key not in self._processes or self._processes[key].poll() is not None:
                path.unlink(missing_ok=True)
                self._ready.discard(key)
                self._processes[key] = self._spawn(python, preload, path, key)
            if key not in self._ready:
                await self._wait(key, path)
                self._ready.add(key)
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

    def _spawn(self, python: str, preload: Sequence[str], path: Path, key: str) -> subprocess.Popen[bytes]:
        arguments = ["--socket", str(path), "--owner-pid", str(os.getpid()), "--preload", ",".join(preload)]
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._launcher.spawn(python, ZYGOTE, arguments, self._log(key))

    async def _wait(self, key: str, path: Path) -> None:
        process = self._processes[key]
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await _answers(path):
                    if process.poll() is not None:
                        raise StartFailed(f"A container's parent process ended at once: {_tail(self._log(key))}")
                    await asyncio.sleep(0.005)
        except TimeoutError:
            process.kill()
            raise StartFailed(f"A container's parent process is not ready after {READY_WITHIN_S:.0f} s.") from None

    def _log(self, key: str) -> Path:
        return self._logs / f"{key}.log"


async def _answers(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


async def _ask(path: Path, question: dict[str, Any]) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        async with asyncio.timeout(READY_WITHIN_S):
            line = await reader.readline()
    finally:
        writer.close()
    answer = json.loads(line)
    return answer if isinstance(answer, dict) else {}


def _socket_directory(directory: Path) -> Path:
    """Return where the sockets may lie: the kernel wants short paths, and people have long ones."""
    if len(str(directory)) + 24 <= _LONGEST_SOCKET_PATH:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory
    return Path(tempfile.mkdtemp(prefix="cellburst-"))


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote no log."
