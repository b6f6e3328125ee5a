"""What a session's volumes are to its container: directories of the host, and where libraries find a model cache."""

from __future__ import annotations

from collections.abc import Iterable

from kernel_bridge.protocol.containers import Mount
from kernel_bridge.protocol.sessions import VolumeMount
from remote_runtime.volumes.paths import parts_of
from remote_runtime.volumes.service import Volumes


def mounts_of(volumes: Volumes, asked: Iterable[VolumeMount]) -> tuple[Mount, ...]:
    """Return the mounts; a version is laid out if it never was. Slow: call it from a thread. Raises NotFound."""
    return tuple(
        Mount(
            source=str(volumes.directory(mount.name, mount.version)),
            target=mount.path,
            read_only=mount.read_only or bool(mount.version),
            below="/".join(parts_of(mount.sub_path)),
        )
        for mount in asked
    )


def model_cache_env(asked: Iterable[VolumeMount]) -> dict[str, str]:
    """Return the variables by which libraries find the model cache; none without one."""
    path = next((mount.path for mount in asked if mount.model_cache), "")
    return {"HF_HOME": f"{path}/huggingface", "TORCH_HOME": f"{path}/torch"} if path else {}
