"""Watches memory where no control group does: what a cell's processes hold is added up while it runs.

It is the weaker way. It looks twice a second, so that a cell which allocates faster gets past it, to where only the
host's own memory stops it; and it is used only for what was asked for by `--memory`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.resources import show_size
from remote_runtime.agent.limits import host_memory_bytes, more_memory

_LOOK_S: Final = 0.5


async def watch_memory(
    root: int, limit_bytes: int, running: Callable[[], bool], on_over: Callable[[str], None]
) -> None:
    """Call `on_over` with the cause when a running cell's processes, those below `root`, hold more: an owned task."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if running() and (held := held_bytes(root, but=os.getpid(), enough_bytes=limit_bytes)) > limit_bytes:
            more = more_memory(limit_bytes, host_memory_bytes())
            on_over(f"it ran out of memory: limit {show_size(limit_bytes)}, it held {show_size(held)}; {more}")
            await asyncio.sleep(_LOOK_S)


def held_bytes(root: int, *, but: int, enough_bytes: int = 0) -> int:
    """Return what the processes below one hold in memory, in bytes; what they share counts once, if it matters.

    The quick sum counts shared pages for each; only when it is above `enough_bytes` are they told apart.
    """
    processes = list(_below(root, but))
    quick = sum(_resident(pid) for pid in processes)
    return quick if quick <= enough_bytes else sum(_proportional(pid) for pid in processes)


def _below(root: int, but: int) -> Iterator[int]:
    pending = [root]
    while pending:
        for task in Path(f"/proc/{pending.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = [int(word) for word in task.read_text().split() if int(word) != but]
                yield from children
                pending += children


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _proportional(pid: int) -> int:
    """Return a process's memory with its share of what others map, too; all of it where that may not be read."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return _resident(pid)
