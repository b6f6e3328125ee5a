"""Containers as processes of this machine: no Docker, and so far no sandbox, which the interface says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kernel_bridge.protocol.wire import to_wire
from remote_runtime.clock import Clock
from remote_runtime.providers import host
from remote_runtime.providers.base import ContainerSpec, Ground, Handle, Offer, Phase, Status
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.mending import mend
from remote_runtime.providers.payload import prepare_payload
from remote_runtime.providers.zygotes import SUPERVISOR, Launcher, Zygotes

TERM_WAIT_S: Final = 3.0


class ProcessProvider:
    """Forks containers from zygotes. A handle is pid, start time, boot id, and the file that will say how it ended."""

    name = "process"

    def __init__(
        self,
        *,
        data_dir: Path,
        runtime_dir: Path,
        inventory: Inventory,
        env: Mapping[str, str],
        clock: Clock,
        embedded: bool = False,
    ) -> None:
        self._clock = clock
        how = mend(embedded=embedded)
        self.ground = Ground(place=host.place(), boot_id=host.boot_id(), isolation="not isolated", mend=how)
        self._inventory = inventory
        self._launcher = Launcher(payload=prepare_payload(data_dir / "payload"), env=env)
        self._zygotes = Zygotes(self._launcher, runtime_dir / "zygotes")
        self._spawned: dict[int, subprocess.Popen[bytes]] = {}  # where there is no zygote, they are our own children

    async def offers(self) -> Sequence[Offer]:
        """Return this host's cards."""
        return self._inventory.offers()

    async def warm(self, python: str, preload: Sequence[str]) -> None:
        """Start the zygote of an environment that will soon be wanted."""
        if sys.platform == "linux":
            await self._zygotes.ensure(python, preload)

    async def start(self, spec: ContainerSpec) -> Handle:
        """Write down what the container is told, and have it forked; raises StartFailed."""
        config_file = spec.directory / "config.json"
        exit_file = spec.directory / "exit.json"
        config = replace(spec.config, exit_file=str(exit_file), log_file=str(spec.directory / "agent.log"))
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(config_file, json.dumps(to_wire(config)))  # the supervisor removes it when it has read it
        try:
            if sys.platform == "linux":
                born = await self._zygotes.fork(config.python, spec.preload, config_file)
            else:
                born = self._spawn(config.python, config_file, spec.directory / "supervisor.log")
        except BaseException:
            config_file.unlink(missing_ok=True)
            raise
        return {
            "pid": int(born["pid"]),
            "start_time": str(born["start_time"]),
            "boot_id": host.boot_id(),
            "exit_file": str(exit_file),
            "config_file": str(config_file),
        }

    async def poll(self, handle: Handle) -> Status:
        """Look whether that very process runs; if not, read how it ended."""
        if child := self._spawned.get(int(handle.get("pid", 0))):
            child.poll()
        if _runs(handle):
            return Status(phase=Phase.RUNNING)
        return _ending(Path(handle.get("exit_file", os.devnull)))

    async def stop(self, handle: Handle) -> None:
        """Ask the supervisor to end what it started, then end it all by force."""
        if _runs(handle):
            await self._end(handle)
        if "config_file" in handle:  # it holds secrets and a token; a container that never began has not read it
            Path(handle["config_file"]).unlink(missing_ok=True)

    async def close(self) -> None:
        """Let the zygotes go; containers run on."""
        await asyncio.to_thread(self._zygotes.close)

    async def _end(self, handle: Handle) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(handle["pid"], signal.SIGTERM)
        if not await self._gone(handle, TERM_WAIT_S):
            host.kill_session(handle["pid"])
            await self._gone(handle, TERM_WAIT_S)
        exit_file = Path(handle["exit_file"])
        if not exit_file.exists():  # its supervisor had no time to write it
            _write_private(exit_file, json.dumps({"cause": "stopped", "ended_at_s": self._clock.now()}))

    async def _gone(self, handle: Handle, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while (await self.poll(handle)).phase is Phase.RUNNING:  # noqa: ASYNC110 - no event comes from it
                    await asyncio.sleep(0.01)
        return not _runs(handle)

    def _spawn(self, python: str, config_file: Path, log: Path) -> dict[str, Any]:
        child = self._launcher.spawn(python, SUPERVISOR, ["--config", str(config_file)], log)
        self._spawned[child.pid] = child
        return {"pid": child.pid, "start_time": host.start_time(child.pid) or ""}


def _runs(handle: Handle) -> bool:
    try:
        return host.runs(handle["pid"], handle["start_time"], handle["boot_id"])
    except KeyError:
        return False


def _ending(exit_file: Path) -> Status:
    try:
        said = json.loads(exit_file.read_text())
    except (OSError, ValueError):
        return Status(phase=Phase.GONE, cause="killed")
    at = said.get("ended_at_s")
    return Status(
        phase=Phase.GONE,
        cause=str(said.get("cause", "")),
        ended_at_s=float(at) if isinstance(at, int | float) else None,
        details=said,
    )


def _write_private(path: Path, text: str) -> None:
    """Write a file only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
