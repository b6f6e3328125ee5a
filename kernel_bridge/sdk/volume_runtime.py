"""The volume routes of the runtime that is in use: one connection for this process."""

from __future__ import annotations

import atexit
from functools import lru_cache

from kernel_bridge.client.embedded import ensure_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.volumes import VolumeRoutes
from kernel_bridge.config import Address, ClientConfig


def volume_routes() -> VolumeRoutes:
    """Return the routes of the runtime that was connected, else of this machine's own; raises RuntimeUnreachable."""
    return _plane(ensure_runtime(ClientConfig.load())).volume_routes


@lru_cache(maxsize=4)
def _plane(address: Address) -> ControlPlane:
    plane = ControlPlane(address)
    atexit.register(plane.close)
    return plane
