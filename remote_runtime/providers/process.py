"""Containers as processes of this machine, behind whatever walls the host allows; the interface says which."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.clock import Clock
from remote_runtime.providers import capacity, cgroups, host
from remote_runtime.providers.base import ContainerSpec, Ground, Handle, Offer, Phase, Status
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.mending import mend
from remote_runtime.providers.payload import prepare_payload
from remote_runtime.providers.requests import given_paths, request
from remote_runtime.providers.sandbox import OPEN, Ours, Sandbox
from remote_runtime.providers.zygotes import SUPERVISOR, Breed, Launcher, Zygotes

TERM_WAIT_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What of the host containers are given, and whether walls keep the rest from them."""

    walled: bool = True  # False: the operator lets cells be what the runtime is
    shared: tuple[Path, ...] = ()  # directories every container may read
    lent: tuple[Path, ...] = ()  # directories that hold what single containers are given


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
        given: Given = Given(),
    ) -> None:
        self._clock = clock
        payload = prepare_payload(data_dir / "payload")
        ours = Ours(payload=payload, scratch=runtime_dir / "roots", shared=given.shared, lent=given.lent)
        self._sandbox = Sandbox(ours, env, wanted=given.walled)
        self._wants_walls = given.walled
        how = mend(self._sandbox.word, self._sandbox.refusal, embedded=embedded)
        memory_bytes = capacity.cells_memory_bytes()
        self.ground = Ground(
            place=host.place(),
            boot_id=host.boot_id(),
            isolation=self._sandbox.word,
            mend=how,
            cores=capacity.cores(),
            memory_bytes=memory_bytes,
        )
        self._cgroups = cgroups.Cgroups.of_runtime(data_dir, memory_bytes)
        self._inventory = inventory
        self._launcher = Launcher(payload=payload, env=env)
        self._zygotes = Zygotes(self._launcher, self._sandbox, runtime_dir / "zygotes")
        self._spawned: dict[int, subprocess.Popen[bytes]] = {}  # where there is no zygote, they are our own children

    @property
    def sandbox(self) -> Sandbox:
        """Return the walls of this host; what builds environments stays behind them too."""
        return self._sandbox

    async def offers(self) -> Sequence[Offer]:
        """Return this host's cards."""
        return self._inventory.offers()

    async def warm(self, owner: str, python: str, preload: Sequence[str]) -> None:
        """Start the zygote of an environment that will soon be wanted."""
        if sys.platform == "linux":
            await self._zygotes.ensure(Breed(owner=owner, python=python, preload=tuple(preload)))

    async def start(self, spec: ContainerSpec) -> Handle:
        """Have a container forked, limited and walled off; raises StartFailed."""
        self._refuse_root()
        exit_file, log_file = spec.directory / "exit.json", spec.directory / "agent.log"
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        limits = cgroups.Limits(memory_bytes=spec.config.memory_bytes, cpu=spec.config.cpu, pids=spec.config.pids)
        groups = await asyncio.to_thread(self._cgroups.create, spec.config.container_id, limits)
        config = replace(
            self._with_cards(spec.config), exit_file=str(exit_file), log_file=str(log_file), cgroups=groups
        )
        try:
            if sys.platform == "linux":
                born = await self._fork(config, spec)
            else:
                born = await asyncio.to_thread(self._spawn, config, spec.directory / "supervisor.log")
        except BaseException:
            await asyncio.shield(asyncio.to_thread(cgroups.end, groups))
            raise
        return {
            "pid": int(born["pid"]),
            "start_time": str(born["start_time"]),
            "boot_id": host.boot_id(),
            "exit_file": str(exit_file),
            "cgroups": list(groups),
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
        await asyncio.to_thread(cgroups.end, handle.get("cgroups", ()))

    async def reachable(self) -> bool:
        """Tell whether what containers are made from is still there."""
        return self._launcher.payload.is_dir()

    async def close(self) -> None:
        """Let the zygotes go; containers run on."""
        await asyncio.to_thread(self._zygotes.close)
        self._sandbox.close()
        self._cgroups.close()

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

    def _with_cards(self, config: ContainerConfig) -> ContainerConfig:
        """Show a container its own cards, and no other: by file where there are walls, to CUDA everywhere."""
        if not self._inventory.has_driver():
            return config
        shown = ",".join(config.devices)
        env = {**config.env, "CUDA_VISIBLE_DEVICES": shown, "NVIDIA_VISIBLE_DEVICES": shown or "void"}
        return replace(config, env=env, device_files=self._inventory.files(config.devices))

    def _refuse_root(self) -> None:
        """User code is never this host's root, unless the operator wants exactly that."""
        if self._wants_walls and self.ground.isolation == OPEN and os.geteuid() == 0:
            raise StartFailed(
                f"Cells would run as root here, unprotected: {self._sandbox.refusal}. Run the runtime as an ordinary "
                "user, or accept it with CELLBURST_SANDBOX=off."
            )

    async def _fork(self, config: ContainerConfig, spec: ContainerSpec) -> dict[str, Any]:
        breed = Breed(owner=spec.owner, python=config.python, preload=spec.preload)
        trees = await asyncio.to_thread(self._sandbox.trees, spec.owner, given_paths(config))
        with request(config, trees) as asked:
            return await self._zygotes.fork(breed, asked)

    def _spawn(self, config: ContainerConfig, log: Path) -> dict[str, Any]:
        child = self._launcher.spawn([config.python, "-m", SUPERVISOR], log, told=subprocess.PIPE)
        if child.stdin is not None:
            with child.stdin as told:
                told.write(json.dumps(to_wire(config)).encode())
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
