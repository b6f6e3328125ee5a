"""The providers an operator asked for, put together; only here is it known which there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remote_runtime.arenas import ArenaRoot
from remote_runtime.clock import Clock
from remote_runtime.providers.base import Provider
from remote_runtime.providers.docker.engine import Engine, find_url
from remote_runtime.providers.docker.provider import DockerProvider, Hosting
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.process import Given, ProcessProvider
from remote_runtime.providers.sandbox import Sandbox
from remote_runtime.settings import Settings, agents_door

_RUNTIME_ID: Final = "holder"  # a name of this data directory's own, made by the server


@dataclass(frozen=True, slots=True)
class Chosen:
    """Providers in the order they were named, and the walls of this host, behind which images are built, too."""

    providers: tuple[Provider, ...]
    sandbox: Sandbox
    engine_url: str = ""  # of the container engine, where it is one of them


def choose(settings: Settings, inventory: Inventory, clock: Clock, arena: ArenaRoot) -> Chosen:
    """Make what `--provider` names; raises BadOption for an engine that is not on this host.

    The process provider is made in any case: its walls know how folders are handed to cells.
    """
    process = _process(settings, inventory, clock, arena)
    made: dict[str, Provider] = {process.name: process}
    url = ""
    if DockerProvider.name in settings.providers:
        url = find_url(settings.docker_host, settings.own_env.get("XDG_RUNTIME_DIR", ""))
        made[DockerProvider.name] = _docker(settings, url, process.sandbox, inventory, clock)
    return Chosen(tuple(made[name] for name in settings.providers), process.sandbox, url)


def _docker(settings: Settings, url: str, sandbox: Sandbox, inventory: Inventory, clock: Clock) -> DockerProvider:
    engine = Engine(url)
    hosting = Hosting(
        data_dir=settings.data_dir,
        runtime_dir=settings.runtime_dir,
        runtime=_runtime_id(settings.data_dir),
        image=settings.docker_image,
        network=settings.docker_network,
        door=agents_door(settings.socket_path),
        shared=_shared(settings),
        env={name: value for name, value in settings.container_env.items() if name.lower().endswith("_proxy")},
    )
    return DockerProvider(engine, hosting, sandbox, inventory, clock)


def _process(settings: Settings, inventory: Inventory, clock: Clock, arena: ArenaRoot) -> ProcessProvider:
    data_dir = settings.data_dir
    lent = (data_dir / "sessions", data_dir / "volumes", data_dir / "images" / "files")
    return ProcessProvider(
        data_dir=data_dir,
        runtime_dir=settings.runtime_dir,
        inventory=inventory,
        env=settings.container_env,
        clock=clock,
        embedded=settings.embedded,
        given=Given(
            walled=settings.sandbox,
            shared=_shared(settings),
            lent=(*lent, arena.path, settings.socket_path.parent / "agents"),
        ),
    )


def _shared(settings: Settings) -> tuple[Path, ...]:
    return (settings.data_dir / "images" / "layers",)


def _runtime_id(data_dir: Path) -> str:
    try:
        return (data_dir / _RUNTIME_ID).read_text().strip() or str(data_dir)
    except OSError:
        return str(data_dir)
