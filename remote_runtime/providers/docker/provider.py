"""Containers of a container engine on this host, Docker or Podman: the four verbs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.containers import ContainerConfig, Mount
from remote_runtime.clock import Clock
from remote_runtime.providers import capacity, host
from remote_runtime.providers.base import ContainerSpec, Ground, Handle, Offer, Phase, Status
from remote_runtime.providers.docker import door, ends, options
from remote_runtime.providers.docker.engine import Engine, EngineGone, NoSuch, Refused, shares_mounts
from remote_runtime.providers.docker.inside import COVERING, EXIT_FILE, FOLDERS
from remote_runtime.providers.docker.lending import clear_all, lent, make_places
from remote_runtime.providers.docker.mounts import Shown, as_seen_inside, lent_paths, mounts
from remote_runtime.providers.docker.pythons import Interpreter, Pythons, after_its_own, environment_of, in_its_place
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.payload import prepare_payload
from remote_runtime.providers.sandbox import CONFINED, SANDBOXED, Sandbox

log = logging.getLogger(__name__)

PROBE_LABEL: Final = f"{options.PREFIX}.probe"
_STOP_WITHIN_S: Final = 8.0  # the supervisor gives its children two seconds, twice
_OVER: Final = ("created", "exited")  # Podman refuses to hear of Docker's "dead"
_RECORD: Final = "ended.json"  # how it ended, once its engine has forgotten it


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """What of this host the containers of an engine are made with."""

    data_dir: Path
    runtime_dir: Path
    runtime: str  # names this runtime's containers among others' of the engine
    image: str  # of sessions that name none; `{python}` stands for the notebook's minor version
    network: str = "bridge"
    door: Path | None = None  # the control plane's socket for agents: not every container has this host's network
    shared: tuple[Path, ...] = ()  # folders every container may read
    env: Mapping[str, str] = field(default_factory=dict)


class DockerProvider:
    """Has an engine run containers. A handle is the container's id, its labels, and its first process."""

    name = "docker"

    def __init__(self, engine: Engine, hosting: Hosting, sandbox: Sandbox, inventory: Inventory, clock: Clock) -> None:
        self._engine = engine
        self._hosting = hosting
        self._sandbox = sandbox
        self._inventory = inventory
        self._clock = clock
        self._payload = prepare_payload(hosting.data_dir / "payload")
        self._pythons = Pythons(engine, PROBE_LABEL)
        self._scratch = hosting.runtime_dir / "lent"
        self._unswept = True
        self._stopping: set[str] = set()
        self._memory_bytes = capacity.cells_memory_bytes()
        clear_all(self._scratch)
        self.ground = Ground(
            place=host.place(),
            boot_id=host.boot_id(),
            isolation=SANDBOXED if sandbox.word == SANDBOXED else CONFINED,
            cores=capacity.cores(),
            memory_bytes=self._memory_bytes,
            starts_images=True,
        )

    async def offers(self) -> Sequence[Offer]:
        """Return this host's cards."""
        return self._inventory.offers()

    async def reachable(self) -> bool:
        """Tell whether the engine answers."""
        return await self._engine.reachable()

    async def start(self, spec: ContainerSpec) -> Handle:
        """Have a container made and told what it is; raises StartFailed saying what went wrong."""
        try:
            await self._sweep()
            return await self._start(spec)
        except (EngineGone, NoSuch, Refused) as error:
            raise StartFailed(f"The container could not be started: {error}.") from error

    async def poll(self, handle: Handle) -> Status:
        """Ask the engine; where it is away, look whether the container's first process runs."""
        folder = Path(handle.get("folder", os.devnull))
        if record := ends.read_said(folder / _RECORD):
            return _recorded(record)
        if "container" not in handle:
            return Status(phase=Phase.GONE, cause="killed")
        try:
            inspected = await self._engine.inspect(handle["container"])
        except NoSuch:
            said = ends.read_said(folder / EXIT_FILE)
            return ends.without_engine(said, "somebody removed it from the container engine")
        except (EngineGone, Refused, StartFailed) as error:
            if _runs(handle):
                return Status(phase=Phase.RUNNING, cause=str(error))
            said = ends.read_said(folder / EXIT_FILE)
            return ends.without_engine(said, "it ended while the container engine was away")
        if inspected["State"].get("Running"):
            return Status(phase=Phase.RUNNING)
        said = ends.read_said(folder / EXIT_FILE)  # only now: it is written at the very end
        return ends.ended(inspected, said, asked=handle["container"] in self._stopping)

    async def stop(self, handle: Handle) -> None:
        """Let it end by itself, then make it; afterwards the engine knows it no more."""
        if "container" not in handle:
            return
        self._stopping.add(handle["container"])
        try:
            await self._engine.stop(handle["container"], _STOP_WITHIN_S)
        except (NoSuch, Refused):
            pass
        except EngineGone:
            self._unswept = True
            await self._end_without_engine(handle)
        status = await self.poll(handle)
        if status.phase is Phase.RUNNING:
            raise EngineGone(f"a container could not be ended: {status.cause}")
        await asyncio.to_thread(_write_record, Path(handle["folder"]), status, self._clock.now())
        self._stopping.discard(handle["container"])
        try:
            await self._engine.remove(handle["container"])
        except (EngineGone, Refused):
            self._unswept = True

    async def close(self) -> None:
        """Hang up; containers run on."""
        self._engine.close()

    async def _start(self, spec: ContainerSpec) -> Handle:
        spec = replace(spec, config=self._by_the_door(spec.config))
        config, labels = spec.config, self._labels(spec)
        interpreter, image = await self._interpreter(spec)
        await asyncio.to_thread(self._make_folders, spec)
        plain = mounts(config, self._shown(spec, interpreter))
        await asyncio.to_thread(make_places, plain)
        with ExitStack() as stack:
            listener = stack.enter_context(door.opened(spec.directory))
            paths = lent_paths(config, self._hosting.shared)
            scratch = self._scratch / config.container_id
            lending = lent(self._sandbox, spec.owner, plain, paths, scratch)
            shown = await asyncio.to_thread(stack.enter_context, lending)
            wanted = replace(self._wanted(spec, interpreter, image, shown), labels=labels)
            container = await self._engine.create(f"cellburst-{config.container_id}", options.body(wanted))
            try:
                await self._engine.start(container)
                told = as_seen_inside(config, shown)
                await door.tell(listener, told, lambda: self._why_gone(container, spec.directory))
                pid = int((await self._engine.inspect(container))["State"].get("Pid") or 0)
            except BaseException:
                await asyncio.shield(self._forget(container))
                raise
        return {
            "container": container,
            "labels": labels,
            "folder": str(spec.directory),
            "pid": pid,
            "start_time": host.start_time(pid) or "",
            "boot_id": host.boot_id(),
        }

    async def _interpreter(self, spec: ContainerSpec) -> tuple[Interpreter, str]:
        environment, minor = environment_of(spec.config.python)
        image = spec.image or self._hosting.image.format(python=minor)
        python = await self._pythons.of(image, minor)
        if spec.image:
            return after_its_own(environment, python), python.image
        views = self._hosting.data_dir / "docker" / "views"
        return await asyncio.to_thread(in_its_place, environment, python, views), python.image

    def _wanted(
        self, spec: ContainerSpec, interpreter: Interpreter, image: str, shown: Sequence[Mount]
    ) -> options.Wanted:
        user = f"{os.geteuid()}:{os.getegid()}"
        return options.Wanted(
            config=spec.config,
            image=image,
            python=interpreter.python,
            needs=interpreter.needs,
            user=user,
            cell_uid=self._sandbox.cell_uid(spec.owner),
            mounts=tuple(shown),
            env=self._hosting.env if spec.config.network else {},
            network=self._hosting.network,
            cards=spec.config.devices,
            most_memory_bytes=self._memory_bytes,
        )

    def _by_the_door(self, config: ContainerConfig) -> ContainerConfig:
        door_ = self._hosting.door
        return replace(config, control_url=f"unix:{door_}") if door_ is not None and door_.is_socket() else config

    def _shown(self, spec: ContainerSpec, interpreter: Interpreter) -> Shown:
        own, python = spec.directory, interpreter.mounts
        return Shown(own=own, payload=self._payload, python=python, shared=self._hosting.shared)

    def _labels(self, spec: ContainerSpec) -> dict[str, str]:
        return {
            options.RUNTIME_LABEL: self._hosting.runtime,
            options.CONTAINER_LABEL: spec.config.container_id,
            options.SESSION_LABEL: spec.config.session_id,
            options.FOLDER_LABEL: str(spec.directory),
        }

    def _make_folders(self, spec: ContainerSpec) -> None:
        if self._sandbox.word == SANDBOXED and not shares_mounts(self._engine.url):
            raise StartFailed(
                "The container engine does not see what is mounted here: one of both runs in a container itself. "
                "Run both on the host, or the runtime as an ordinary user who may use the engine."
            )
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        session = Path(spec.config.work_dir).parent
        for name in FOLDERS:
            (session / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in COVERING:  # something of ours may be mounted in them, which its first process has to reach
            (session / name).chmod(0o711)

    async def _why_gone(self, container: str, folder: Path) -> str:
        """Return why a container ended that should be starting; an empty text while it runs."""
        try:
            inspected = await self._engine.inspect(container)
        except NoSuch:
            return "somebody removed it"
        if inspected["State"].get("Running"):
            return ""
        last = (await self._engine.output(container)).strip().rpartition("\n")[2]
        return last or ends.ended(inspected, ends.read_said(folder / EXIT_FILE)).cause

    async def _forget(self, container: str) -> None:
        try:
            await self._engine.remove(container)
        except (EngineGone, Refused):
            self._unswept = True

    async def _end_without_engine(self, handle: Handle) -> None:
        """The first process of a container takes all others with it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if _runs(handle):
                os.kill(int(handle["pid"]), signal.SIGTERM)
            async with asyncio.timeout(_STOP_WITHIN_S):
                while _runs(handle):  # noqa: ASYNC110 - no event comes from it
                    await asyncio.sleep(0.02)

    async def _sweep(self) -> None:
        """Remove what no control plane will ask for again: containers that are over and whose folder is gone."""
        if not self._unswept:
            return
        ours = f"{options.RUNTIME_LABEL}={self._hosting.runtime}"
        for found in await self._engine.labelled(ours, _OVER):
            folder = Path(found["Labels"].get(options.FOLDER_LABEL, ""))
            if not folder.is_dir() or (folder / _RECORD).exists():
                log.info("removes what is left of a container", extra={"fields": {"container": found["Id"][:12]}})
                await self._engine.remove(str(found["Id"]))
        self._unswept = False


def _runs(handle: Handle) -> bool:
    pid, started = int(handle.get("pid") or 0), str(handle.get("start_time", ""))
    return bool(pid and started) and host.runs(pid, started, str(handle.get("boot_id", "")))


def _recorded(record: Mapping[str, Any]) -> Status:
    return Status(phase=Phase.GONE, cause=record["cause"], ended_at_s=record["ended_at_s"], details=record["details"])


def _write_record(folder: Path, status: Status, now_s: float) -> None:
    """Write down how it ended, the first time that is known."""
    if not folder.is_dir() or (folder / _RECORD).exists():
        return
    at_s = status.ended_at_s or now_s
    said = {"cause": status.cause or "stopped", "ended_at_s": at_s, "details": status.details}
    part = folder / f"{_RECORD}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(said))
    part.replace(folder / _RECORD)
