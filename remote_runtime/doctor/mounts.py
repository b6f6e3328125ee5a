"""The table of mounts: which file system a path lies on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedOn:
    """The mount that holds a path."""

    point: Path
    kind: str  # "ext4", "nfs4", "tmpfs", ...
    options: frozenset[str] = frozenset()


def mounted_on(path: Path, table: str) -> MountedOn | None:
    """Return the mount that holds an absolute path, from the text of /proc/self/mounts; None where that is empty."""
    holders = [mount for mount in _read(table) if path.is_relative_to(mount.point)]
    return max(reversed(holders), key=lambda mount: len(mount.point.parts), default=None)  # the latest of equals


def read_table() -> str:
    """Return this process's table of mounts; empty where the system has none."""
    try:
        return Path("/proc/self/mounts").read_text()
    except OSError:
        return ""


def nearest_folder(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))


def _read(table: str) -> Iterable[MountedOn]:
    for line in table.splitlines():
        fields = line.split()
        if len(fields) >= 4:
            point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[1])
            yield MountedOn(point=Path(point), kind=fields[2], options=frozenset(fields[3].split(",")))
