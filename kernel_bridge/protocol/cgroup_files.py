"""The files of a container's control groups that its supervisor holds open: it soon sees their directory no more.

Who made the groups may open them and hand the descriptors on: what a descriptor allows was decided when it was opened.
"""

from __future__ import annotations

from typing import Final

READ, WRITE, BOTH = 0, 1, 2  # as open(2) knows them

# Below a container's directory in each tree. Which of them exist depends on the tree and on the kernel.
FILES: Final = {
    "agent/cgroup.procs": WRITE,
    "cell/cgroup.procs": BOTH,
    "cell/cgroup.kill": WRITE,  # v2, or the empty v2 tree of a hybrid host
    "cell/cgroup.freeze": WRITE,  # the same
    "cell/cpu.stat": READ,  # the same: it needs no controller
    "cell/pids.max": BOTH,
    "cell/pids.events": READ,
    "cell/memory.events": READ,  # v2: the kernel counts here who it killed for memory
    "cell/memory.oom_control": READ,  # v1: the same
    "memory.max": READ,
    "memory.limit_in_bytes": READ,
    "memory.peak": BOTH,
    "memory.max_usage_in_bytes": BOTH,
    "../memory.max": READ,  # of all cells together
    "../memory.limit_in_bytes": READ,
}
