"""What a container of an engine's may use, seen from inside: the engine made its group, which can only be read here.

Agent and cells are in one group: a limit of processes counts both, and a kernel that runs out of memory takes the
cell, which says that it wants to be the first to go.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.containers import ContainerConfig
from remote_runtime.agent.limits import FIRST_TO_GO, Watch, limit_resources

_GROUPS: Final = Path("/sys/fs/cgroup")
# What a watch asks for, and where the group of this container shows it: version 2, then version 1.
_SHOWN: Final = {
    "cell/memory.events": "memory.events",
    "memory.max": "memory.max",
    "memory.peak": "memory.peak",
    "cell/pids.events": "pids.events",
    "cell/memory.oom_control": "memory/memory.oom_control",
    "memory.limit_in_bytes": "memory/memory.limit_in_bytes",
    "memory.max_usage_in_bytes": "memory/memory.max_usage_in_bytes",
}
_SHOWN_V1: Final = {"cell/pids.events": "pids/pids.events"}
_CLEAR_WITHIN_S: Final = 2.0


class EnclosedWatch(Watch):
    """Watches the one group of a container, whose first process this is."""

    def __init__(self, config: ContainerConfig) -> None:
        super().__init__(config, _open_shown())

    def enter_agent(self, *_others: int) -> None:
        """Stay: everybody is where the engine put the first."""

    def enter_cell(self) -> None:
        """Be a cell from here on: within its own limits, and first to go when memory is out."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))
        limit_resources(0)  # the engine counts processes

    def end_leftovers(self, spared: int = 0) -> None:
        """Kill every process of this container but this one and the agent, even while they fork."""
        deadline_s = time.monotonic() + _CLEAR_WITHIN_S
        while (left := set(_others(spared))) and time.monotonic() < deadline_s:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.005)


def _open_shown() -> dict[str, int]:
    opened = {}
    for name, shown in (*_SHOWN.items(), *_SHOWN_V1.items()):
        with contextlib.suppress(OSError):
            opened[f"0:{name}"] = os.open(_GROUPS / shown, os.O_RDONLY | os.O_CLOEXEC)
    return opened


def _others(spared: int) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if pid not in (os.getpid(), spared):
            yield pid
