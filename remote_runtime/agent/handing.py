"""What the control plane hands to the fork that becomes a container: a JSON line, descriptors with its first bytes."""

from __future__ import annotations

import json
import socket
from typing import Any, Final

from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.agent.supervisor import Handed

_MOST_DESCRIPTORS: Final = 250  # the kernel passes 253
_MOST_BYTES: Final = 16 << 20
_WITHIN_S: Final = 30.0


def receive(connection: socket.socket) -> tuple[ContainerConfig, Handed]:
    """Read `{"config": ..., "trees": [PATH...], "cgroup_files": [KEY...], "token": bool}` and what came with it.

    The descriptors come in the order of those lists, the token's pipe last. Raises ValueError or OSError.
    """
    connection.settimeout(_WITHIN_S)
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, _MOST_DESCRIPTORS)
    parts = [data]
    size_bytes = len(data)
    while not parts[-1].endswith(b"\n"):
        parts.append(connection.recv(1 << 20))
        size_bytes += len(parts[-1])
        if not parts[-1] or size_bytes > _MOST_BYTES:
            raise ValueError("the request for a container is not whole")
    return _read(json.loads(b"".join(parts)), descriptors)


def _read(said: dict[str, Any], descriptors: list[int]) -> tuple[ContainerConfig, Handed]:
    trees, keys = said["trees"], said["cgroup_files"]
    if len(descriptors) != len(trees) + len(keys) + bool(said["token"]):
        raise ValueError("the request for a container lacks descriptors")
    rest = descriptors[len(trees) :]
    handed = Handed(
        trees=tuple(zip(trees, descriptors[: len(trees)], strict=True)),
        cgroup_files=dict(zip(keys, rest, strict=False)) if keys else None,
        token=descriptors[-1] if said["token"] else -1,
    )
    return from_wire(ContainerConfig, said["config"]), handed
