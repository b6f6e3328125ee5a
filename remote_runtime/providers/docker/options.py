"""A container as the Engine API wants it described: values in, the body of one request out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kernel_bridge.protocol.containers import ContainerConfig, Mount
from remote_runtime.providers.docker.inside import BOOT, CAPABILITIES, DOOR_SOCKET, ENCLOSED, HOME, LIB, OWN
from remote_runtime.providers.docker.mounts import as_api

PREFIX: Final = "dev.cellburst"
RUNTIME_LABEL: Final = f"{PREFIX}.runtime"
CONTAINER_LABEL: Final = f"{PREFIX}.container"
SESSION_LABEL: Final = f"{PREFIX}.session"
FOLDER_LABEL: Final = f"{PREFIX}.folder"

_SPARE_PIDS: Final = 64  # agent and supervisor are counted with the cells, and go on when those have their fill
_LOG_BYTES: Final = "1m"
_NANO: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A container to be made."""

    config: ContainerConfig
    image: str
    python: str  # the interpreter, by its path in the container
    needs: str = ""  # a folder whose packages come after all of the image's
    user: str  # "UID:GID" of its first process
    cell_uid: int | None  # whom cells are; None: the same
    mounts: tuple[Mount, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    network: str = "bridge"  # the engine's network of those that have one
    cards: tuple[str, ...] = ()  # by UUID
    most_memory_bytes: int = 0  # of one that asked for no limit
    host_memory_bytes: int = 0


def body(wanted: Wanted) -> dict[str, Any]:
    """Return the body of the request that makes it."""
    return {
        "Image": wanted.image,
        "Entrypoint": command(wanted),
        "Cmd": [],
        "User": wanted.user,
        "WorkingDir": "/",
        "Env": [f"{name}={value}" for name, value in sorted(environment(wanted).items())],
        "Labels": dict(wanted.labels),
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": host_config(wanted),
    }


def command(wanted: Wanted) -> list[str]:
    """Return what its first process is."""
    told = [f"{OWN}/{DOOR_SOCKET}", *([str(wanted.cell_uid)] if wanted.cell_uid is not None else [])]
    if wanted.needs:
        return [wanted.python, "-m", BOOT, wanted.needs, ENCLOSED, *told]
    return [wanted.python, "-m", ENCLOSED, *told]


def environment(wanted: Wanted) -> dict[str, str]:
    """Return its variables. Secrets are not among them: whoever may ask the engine can read these."""
    ours = {"PYTHONPATH": LIB, "PYTHONUNBUFFERED": "1", "HOME": HOME, "USER": "cell", "LOGNAME": "cell"}
    # Images of NVIDIA's ask for all cards, and an engine whose usual runtime is NVIDIA's would give them.
    none = {} if wanted.cards else {"NVIDIA_VISIBLE_DEVICES": "void"}
    return {**wanted.env, **ours, **none}


def host_config(wanted: Wanted) -> dict[str, Any]:
    """Return its limits and what it may not."""
    config = wanted.config
    memory_bytes = config.memory_bytes or wanted.most_memory_bytes
    limits: dict[str, Any] = {}
    if memory_bytes:
        limits |= {"Memory": memory_bytes, "MemorySwap": memory_bytes}
    if config.cpu:
        limits["NanoCpus"] = int(config.cpu * _NANO)
    if config.pids:
        limits["PidsLimit"] = config.pids + _SPARE_PIDS
    return {
        **limits,
        "Mounts": [as_api(mount) for mount in wanted.mounts],
        "CapDrop": ["ALL"],
        "CapAdd": list(CAPABILITIES) if wanted.cell_uid is not None else [],
        "SecurityOpt": ["no-new-privileges"],
        "ShmSize": memory_bytes or wanted.host_memory_bytes // 2 or None,
        "IpcMode": "private",
        "NetworkMode": wanted.network if config.network else "none",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _LOG_BYTES}},
        "RestartPolicy": {"Name": "no"},
        "DeviceRequests": device_requests(wanted.cards),
    }


def device_requests(uuids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the request for these very cards; the others are not there for the container."""
    if not uuids:
        return []
    return [{"Driver": "nvidia", "Count": 0, "DeviceIDs": list(uuids), "Capabilities": [["gpu"]], "Options": {}}]
