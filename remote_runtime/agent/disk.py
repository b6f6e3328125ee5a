"""Watches the disk while a cell runs: a cell that fills it ends with its cause before others and the runtime are hit.

Free space is asked for often, which costs microseconds; files are walked only after it fell so far that a limit may
have been passed. A cell is ended only when it wrote something itself: one that tidies up can run on a full disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.resources import show_size

_FASTEST_WRITER: Final = 4 << 30  # bytes a second: how soon to look again is the room there is, at this speed
_LOOK_S: Final = (0.05, 2.0)  # at least and at most between two looks
_WALK_ANYWAY_S: Final = 60.0  # what others delete hides what this session writes
_OWN_DOING_BYTES: Final = 1 << 20  # a cell that wrote less did not fill the disk
_BESIDE: Final = ("state", "modules", "run", "tmp", "home")
_BLOCK_BYTES: Final = 512  # the unit of st_blocks, whatever the file system's


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLimits:
    """What a session's files may take, and what has to stay free; zero is no limit."""

    budget_bytes: int
    reserve_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a session's files take, and how much of it is in files written since its cell began."""

    total_bytes: int = 0
    fresh_bytes: int = 0


class DiskWatch:
    """Watches one session's folders; `on_over` is called with the cause when its cell has to end."""

    def __init__(self, folders: Iterable[Path], limits: DiskLimits, on_over: Callable[[str], None]) -> None:
        self._folders = tuple(folders)
        self._limits = limits
        self._on_over = on_over
        self._since_s: float | None = None  # when the running cell began, as files tell time
        self._began = asyncio.Event()
        self._use = Use()
        self._free_then = 0  # when the files were walked
        self._walked_at_s: float | None = None

    def cell_began(self) -> None:
        """Watch from here on."""
        self._since_s = time.time() - 0.02  # files are stamped with a clock that ticks less often
        self._began.set()

    def cell_ended(self) -> None:
        """There is nothing to watch until the next."""
        self._since_s = None
        self._began.clear()

    async def run(self) -> None:
        """Watch for ever: the body of an owned task."""
        while True:
            await self._began.wait()
            await asyncio.sleep(_LOOK_S[0])  # a cell that is over by then costs nothing
            if self._since_s is not None:
                await asyncio.sleep(await self._looked() - _LOOK_S[0])

    async def _looked(self) -> float:
        try:
            return await self._look()
        except OSError:  # the folder has just gone with its session
            return _LOOK_S[1]

    async def _look(self) -> float:
        """Look once, end the cell where it has to be, and return in how many seconds to look again."""
        free, whole = space(self._folders[0])
        reserve = reserve_of(whole, self._limits.reserve_bytes)
        room = min(free - reserve, self._room_in_budget(free))
        if (room <= 0 or self._is_stale()) and (since_s := self._since_s) is not None:
            self._use = await asyncio.to_thread(measure, self._folders, since_s)
            self._free_then, self._walked_at_s = free, time.monotonic()
            cause = judge(self._use, self._limits, free_bytes=free, reserve_bytes=reserve)
            if cause and self._since_s == since_s:
                self.cell_ended()
                self._on_over(cause)
        return min(max(room / _FASTEST_WRITER, _LOOK_S[0]), _LOOK_S[1])

    def _room_in_budget(self, free: int) -> int:
        """Return how much the session can still write at least, judging by the walk before and what was used since."""
        if not self._limits.budget_bytes:
            return free
        return self._limits.budget_bytes - self._use.total_bytes - max(0, self._free_then - free)

    def _is_stale(self) -> bool:
        return self._walked_at_s is None or time.monotonic() - self._walked_at_s > _WALK_ANYWAY_S


def folders_of(config: ContainerConfig) -> tuple[Path, ...]:
    """Return where a session's files lie: its working directory, the folders beside it, its writable volumes."""
    work = Path(config.work_dir)
    # By name: where a container's root is mounted, the whole host lies below the session's folder, too.
    beside = [work.parent / name for name in _BESIDE]
    volumes = [Path(mount.source) for mount in config.mounts if not mount.read_only]
    return (work, *beside, *volumes)


def limits_of(config: ContainerConfig) -> DiskLimits:
    """Return what a container was told."""
    return DiskLimits(budget_bytes=config.disk_bytes, reserve_bytes=config.disk_reserve_bytes)


def judge(use: Use, limits: DiskLimits, *, free_bytes: int, reserve_bytes: int) -> str:
    """Say why the cell has to end; empty when it may go on. Pure."""
    if use.fresh_bytes < _OWN_DOING_BYTES:
        return ""
    if limits.budget_bytes and use.total_bytes > limits.budget_bytes:
        return (
            f"its session's files take {show_size(use.total_bytes)} of disk: limit {show_size(limits.budget_bytes)}, "
            f"{show_size(use.fresh_bytes)} of it written by this cell; delete some in the next cell"
        )
    if free_bytes < reserve_bytes:
        return (
            f"the disk ran full: {show_size(max(0, free_bytes))} free, {show_size(reserve_bytes)} has to stay; "
            f"this cell wrote {show_size(use.fresh_bytes)}; delete some in the next cell"
        )
    return ""


def space(folder: Path) -> tuple[int, int]:
    """Return the bytes an ordinary user may still write on a folder's file system, and all it holds."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def reserve_of(whole_bytes: int, reserve_bytes: int) -> int:
    """Return what has to stay free; never more than a half, so that something can be written on a small disk."""
    return min(reserve_bytes, whole_bytes // 2)


def measure(folders: Iterable[Path], since_s: float) -> Use:
    """Add up what the files below these folders take on disk, each once; those deleted while open are among them."""
    seen: set[tuple[int, int]] = set()
    total = fresh = 0
    places = [folder for folder in folders if folder.is_dir()]
    for found in (*_files(places), *_deleted_files({folder.stat().st_dev for folder in places})):
        if (key := (found.st_dev, found.st_ino)) not in seen:
            seen.add(key)
            taken = found.st_blocks * _BLOCK_BYTES
            total += taken
            fresh += taken if max(found.st_mtime, found.st_ctime) >= since_s else 0
    return Use(total_bytes=total, fresh_bytes=fresh)


def _files(folders: Iterable[Path]) -> Iterator[os.stat_result]:
    pending = [str(folder) for folder in folders]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif stat.S_ISREG((found := entry.stat(follow_symlinks=False)).st_mode):
                        yield found


def _deleted_files(devices: set[int]) -> Iterator[os.stat_result]:
    """Yield the files without a name that this container's processes hold, where we may look."""
    session = os.getsid(0)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) != session:
                continue
            for descriptor in (entry / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found = descriptor.stat()
                    if stat.S_ISREG(found.st_mode) and not found.st_nlink and found.st_dev in devices:
                        yield found
