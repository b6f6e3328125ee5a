"""How much a volume holds, how that grew, and how much it may hold."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remote_runtime.volumes.entries import below, is_file
from remote_runtime.volumes.paths import walking

DAY_S: Final = 86400.0
WEEK_S: Final = 7 * DAY_S
_BETWEEN_S: Final = 3600.0  # two records of a size
_KEPT_S: Final = 5 * WEEK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a volume's files come to now."""

    files: int
    size_bytes: int  # as they are read
    disk_bytes: int  # as they are kept: a hole takes nothing, and two links to a file are one


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a volume takes, what it may take, and how that grew."""

    files: int
    size_bytes: int
    disk_bytes: int
    history_bytes: int  # of disk, for its versions
    growth_week_bytes: int
    quota_bytes: int  # 0: none
    free_bytes: int  # of the disk it is on


def measure(root: Path) -> Measured:
    """Walk a volume and add up; raises NotFound."""
    files = size_bytes = disk_bytes = 0
    seen: set[int] = set()
    with walking(root) as walk:
        for found in below(walk.descriptor, "", deep=True):
            info = found.info
            if not is_file(info):
                continue
            files += 1
            size_bytes += info.st_size
            if info.st_nlink == 1 or info.st_ino not in seen:
                disk_bytes += info.st_blocks * 512
                seen.update([info.st_ino] if info.st_nlink > 1 else [])
    return Measured(files=files, size_bytes=size_bytes, disk_bytes=disk_bytes)


class Books:
    """What is written down of one volume beside its files: its quota, and its size from time to time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def quota_bytes(self) -> int:
        """Return how much disk the volume may take with its versions; 0 is no limit."""
        try:
            return int((self._directory / "quota").read_text())
        except FileNotFoundError:
            return 0

    def set_quota(self, quota_bytes: int) -> None:
        """Limit the volume, or with 0 no longer."""
        self._write("quota", str(quota_bytes))

    def record(self, now_s: float, disk_bytes: int) -> None:
        """Write a size down, at most one an hour."""
        sizes = self._sizes()
        if not sizes or now_s - sizes[-1][0] >= _BETWEEN_S:
            kept = [(at_s, size) for at_s, size in (*sizes, (now_s, disk_bytes)) if now_s - at_s < _KEPT_S]
            self._write("sizes", json.dumps(kept))

    def recorded_at_s(self) -> float:
        """Return when a size was written down last; 0 for never."""
        return max((at_s for at_s, _ in self._sizes()), default=0.0)

    def growth_week_bytes(self, now_s: float, disk_bytes: int, created_at_s: float) -> int:
        """Return how much more there is than a week ago, or than at the first record since."""
        return growth(self._sizes(), now_s, disk_bytes, created_at_s)

    def _sizes(self) -> list[tuple[float, int]]:
        try:
            return [(float(at_s), int(size)) for at_s, size in json.loads((self._directory / "sizes").read_text())]
        except (FileNotFoundError, ValueError):
            return []

    def _write(self, name: str, text: str) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._directory / f".{name}"
        temporary.write_text(text)
        temporary.rename(self._directory / name)


def growth(sizes: Sequence[tuple[float, int]], now_s: float, disk_bytes: int, created_at_s: float) -> int:
    """Return the growth of a week: from the newest size that is a week old, else from nothing or the oldest size."""
    before = [size for at_s, size in sizes if now_s - at_s >= WEEK_S]
    if before:
        return disk_bytes - before[-1]
    return disk_bytes if now_s - created_at_s < WEEK_S or not sizes else disk_bytes - sizes[0][1]


def free_bytes(directory: Path) -> int:
    """Return how much of a directory's disk is free for us."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
