"""How much processor and memory of this machine containers can have."""

from __future__ import annotations

import os

from kernel_bridge.protocol.defaults import DEFAULTS
from remote_runtime.providers import cgroup_layout


def cores() -> float:
    """Return the cores this process may run on."""
    try:
        return float(len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS
        return float(os.cpu_count() or 1)


def cells_memory_bytes() -> int:
    """Return what all cells together may use: a share of the host's memory, or of the limit the runtime is under."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = cgroup_layout.memory_limit(cgroup_layout.detect())
    return int(DEFAULTS.memory_share * min(whole, limit or whole))
