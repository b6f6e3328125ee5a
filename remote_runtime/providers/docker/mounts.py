"""What of this host a container is shown, and where: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernel_bridge.protocol.containers import ContainerConfig, Mount
from remote_runtime.providers.docker.inside import (
    ARENA,
    DOOR,
    EXIT_FILE,
    FOLDERS,
    HOME,
    LIB,
    LOG_FILE,
    OWN,
    SESSION,
    SYSTEM,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one container sees beside its image."""

    own: Path  # the container's own folder
    payload: Path  # our packages
    python: tuple[Mount, ...] = ()  # what its interpreter is made with
    shared: tuple[Path, ...] = ()  # folders every container may read: package layers


def mounts(config: ContainerConfig, shown: Shown) -> tuple[Mount, ...]:
    """Return the mounts of a container, each target once; what is named later covers what is named before."""
    wanted = (*_ours(config, shown), *_sessions(config), *_given(config, shown))
    by_target = {mount.target: mount for mount in wanted}
    folder = _working_directory(config, by_target)
    if folder:
        by_target[folder] = Mount(source=config.work_dir, target=folder)
    return tuple(by_target[target] for target in sorted(by_target))


def as_seen_inside(config: ContainerConfig, shown: Iterable[Mount]) -> ContainerConfig:
    """Return what the container is told: the same, by its own paths."""
    url = config.control_url
    if url.startswith("unix:"):
        url = f"unix:{DOOR}/{Path(url).name}"
    targets = {mount.target for mount in shown}
    return replace(
        config,
        control_url=url,
        work_dir=f"{SESSION}/work",
        state_dir=f"{SESSION}/state",
        arena_dir=ARENA if config.arena_dir else "",
        notebook_directory=config.notebook_directory if config.notebook_directory in targets else "",
        exit_file=f"{OWN}/{EXIT_FILE}",
        log_file=f"{OWN}/{LOG_FILE}",
        cgroups=(),
    )


def lent_paths(config: ContainerConfig, shared: Iterable[Path]) -> list[str]:
    """Return the folders of this host that are the cells' own while they have them."""
    own = (str(Path(config.work_dir).parent), config.state_dir, config.arena_dir)
    layers = (layer for layer in config.layers if not any(_lies_in(layer, str(folder)) for folder in shared))
    return [path for path in (*own, *(mount.source for mount in config.mounts), *layers) if path]


def enclosing(target: str, targets: Iterable[str]) -> str:
    """Return the nearest of some mounts that a mount lies in; empty for none."""
    around = [one for one in targets if one != target and _lies_in(target, one)]
    return max(around, key=len, default="")


def as_api(mount: Mount) -> dict[str, Any]:
    """Return a mount as the Engine API has it. A source that is not there is an error, not an empty folder."""
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _working_directory(config: ContainerConfig, targets: Iterable[str]) -> str:
    """Return the notebook's own folder, where it can appear; empty where it would cover what is needed."""
    folder = config.notebook_directory
    if not folder.startswith("/") or folder == "/" or any(_lies_in(folder, name) for name in SYSTEM):
        return ""
    return "" if any(_lies_in(target, folder) for target in targets) else folder


def _ours(config: ContainerConfig, shown: Shown) -> Iterator[Mount]:
    yield Mount(source=str(shown.own), target=OWN)
    for part in sorted(shown.payload.iterdir()):
        yield Mount(source=str(part.resolve()), target=f"{LIB}/{part.name}", read_only=True)
    if config.control_url.startswith("unix:"):
        door = Path(config.control_url.removeprefix("unix:")).parent
        yield Mount(source=str(door), target=DOOR, read_only=True)
    yield from shown.python
    for folder in shown.shared:
        yield Mount(source=str(folder), target=str(folder), read_only=True)


def _sessions(config: ContainerConfig) -> Iterator[Mount]:
    session = Path(config.work_dir).parent
    for name in FOLDERS:
        yield Mount(source=str(session / name), target=f"{SESSION}/{name}")
    for target in ("/tmp", "/var/tmp"):  # noqa: S108 - the container's own
        yield Mount(source=str(session / "tmp"), target=target)
    yield Mount(source=str(session / "home"), target=HOME)
    yield Mount(source=config.state_dir, target=f"{SESSION}/state")
    if config.arena_dir:
        yield Mount(source=config.arena_dir, target=ARENA)


def _given(config: ContainerConfig, shown: Shown) -> Iterator[Mount]:
    for layer in config.layers:
        if not any(_lies_in(layer, str(folder)) for folder in shown.shared):
            yield Mount(source=layer, target=layer, read_only=True)
    yield from config.mounts


def _lies_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)
