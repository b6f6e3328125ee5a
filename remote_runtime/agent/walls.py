"""One container's own part of its view: its session's folders at their paths, its volumes, its user."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.containers import ContainerConfig
from remote_runtime.linux.roots import Bind
from remote_runtime.linux.walls import Walls

_FOLDERS: Final = ("modules", "run", "tmp", "home")
_TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 - the container's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosed:
    """Walls that were up before the supervisor began: a container engine's. It is the first process behind them."""

    cell_uid: int | None  # the user cells are; None: the one the supervisor is


@dataclass(frozen=True, slots=True)
class View:
    """What `raise_walls` wants to know of one container."""

    directory: str  # where its cells find themselves
    binds: tuple[Bind, ...]
    files: dict[str, str]


def prepare_folders(config: ContainerConfig) -> None:
    """Make what a container keeps beside its working directory; raises OSError."""
    for name in _FOLDERS:
        (_session(config) / name).mkdir(mode=0o700, exist_ok=True)


def container_view(config: ContainerConfig, walls: Walls) -> View:
    """Say what a container sees beside what all see."""
    session, directory = _session(config), visible_directory(config)
    owned = [Bind.same(str(session / name), read_only=False) for name in ("work", "modules", "run", "state")]
    owned += [
        Bind.same(path, read_only=False) for path in (config.work_dir, config.state_dir, config.arena_dir) if path
    ]
    temporary = [Bind(source=str(session / "tmp"), target=path, read_only=False) for path in _TEMPORARY]
    home = _home(config)
    binds = [
        *temporary,
        *([Bind(source=str(session / "home"), target=home, read_only=False)] if home else []),
        *dict.fromkeys(owned),
        Bind(source=config.work_dir, target=directory, read_only=False),
        *(Bind.same(layer) for layer in config.layers),
        *(Bind.same(file, read_only=False, devices=True) for file in config.device_files),
        *(
            Bind(source=one.source, target=one.target, read_only=one.read_only, below=one.below)
            for one in config.mounts
        ),
    ]
    return View(directory=directory, binds=tuple(binds), files=_accounts(config, walls, home or "/"))


def visible_directory(config: ContainerConfig) -> str:
    """Return the notebook's own folder, unless it holds something this container needs: it is going to be covered."""
    folder = config.notebook_directory
    if not folder or folder == "/":
        return config.work_dir
    own = (config.work_dir, config.state_dir, config.arena_dir, *config.layers)
    needed = (sys.prefix, sys.base_prefix, *own, *sys.path)
    if any(path and Path(path).is_relative_to(folder) for path in needed):
        return config.work_dir
    return folder


def _session(config: ContainerConfig) -> Path:
    return Path(config.work_dir).parent


def _home(config: ContainerConfig) -> str:
    home = _variable(config, "HOME")
    return home if home.startswith("/") and home != "/" else ""


def _variable(config: ContainerConfig, name: str) -> str:
    """Return what cells will find in their environment: this process's, with the container's own over it."""
    return config.env.get(name, os.environ.get(name, ""))


def _accounts(config: ContainerConfig, walls: Walls, home: str) -> dict[str, str]:
    """Return the files in which programs look up who they are."""
    uid = walls.cell_uid if walls.cell_uid is not None else os.getuid()
    name = _variable(config, "USER")
    name = name if name.isidentifier() and name != "root" else "cell"
    return {
        "/etc/passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\n{name}:x:{uid}:{uid}:{name}:{home}:/bin/sh\n",
        "/etc/group": f"root:x:0:\n{name}:x:{uid}:\n",
    }
