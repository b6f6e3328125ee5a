"""Where on this host control groups of ours can be made: v1, v2 or both. Reads text and trees, changes nothing.

On v1 every controller has a tree of its own, and ours begins below the group the runtime runs in. On v2 a group with
processes cannot give controllers on, so ours begins at the nearest group above that may be written to (an ordinary
user's is the one systemd delegated); the way up never leaves a memory or cpu limit that somebody set. A "hybrid" host
has its controllers in v1 trees, and beside them an empty v2 tree whose groups can be killed in one stroke.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONTROLLERS: Final = frozenset({"memory", "cpu", "pids"})
_NO_LIMIT: Final = 1 << 60  # v1 writes "none" as the largest number of pages
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupMount:
    """One mounted tree: what of it is shown where, and its controllers (none on v2: its root lists them)."""

    root: str
    point: Path
    controllers: frozenset[str] = frozenset()
    unified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """A tree in which groups can be made below `base`, with the controllers that hold there."""

    base: Path
    top: Path  # the highest group of the tree that can be seen
    controllers: frozenset[str]
    unified: bool


def detect(proc: Path = Path("/proc/self"), root: Path = Path("/")) -> tuple[Hierarchy, ...]:
    """Return the trees groups can be made in, none where this host or this user has none. `root` is for tests."""
    try:
        mounts = parse_mounts((proc / "mountinfo").read_text())
        own = parse_own((proc / "cgroup").read_text())
    except OSError:
        return ()
    return find(mounts, own, root)


def parse_mounts(mountinfo: str) -> tuple[CgroupMount, ...]:
    """Read the cgroup mounts in the text of /proc/PID/mountinfo."""
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            controllers = CONTROLLERS & set(options.split(",")) if kind == "cgroup" else frozenset()
            point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
            unified = kind == "cgroup2"
            found.append(CgroupMount(root=fields[3], point=point, controllers=controllers, unified=unified))
    return tuple(found)


def parse_own(text: str) -> dict[str, str]:
    """Read /proc/PID/cgroup: the group the process is in, by controller; v2's under the empty name."""
    own = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(","), path))
    return own


def find(mounts: Sequence[CgroupMount], own: Mapping[str, str], root: Path = Path("/")) -> tuple[Hierarchy, ...]:
    """Return what can be used of these mounts, each controller once."""
    found: list[Hierarchy] = []
    for mount in sorted(mounts, key=lambda mount: mount.unified):
        had = frozenset[str]().union(*(hierarchy.controllers for hierarchy in found))
        point = root / str(mount.point).lstrip("/")
        names = [""] if mount.unified else sorted(mount.controllers - had)
        if not names or names[0] not in own:
            continue
        group = _below(point, mount.root, own[names[0]])
        hierarchy = _unified(point, group, had) if mount.unified else _legacy(point, group, frozenset(names))
        found += [hierarchy] if hierarchy else []
    return tuple(found) if any(hierarchy.controllers for hierarchy in found) else ()


def memory_limit(hierarchies: Sequence[Hierarchy]) -> int | None:
    """Return the smallest memory limit in bytes that already lies on what we make; None where there is none."""
    limits = [
        limit
        for hierarchy in hierarchies
        if "memory" in hierarchy.controllers
        for group in _upwards(hierarchy.base, hierarchy.top)
        if (limit := read_limit(group / ("memory.max" if hierarchy.unified else "memory.limit_in_bytes"))) is not None
    ]
    return min(limits, default=None)


def read_limit(file: Path) -> int | None:
    """Read a limit; None for `max`, for v1's way of writing it, and for a file that is not there."""
    try:
        text = file.read_text().split()[0]
    except (OSError, IndexError):
        return None
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None


def _below(point: Path, shown: str, group: str) -> Path:
    """Return a group's directory; a container's mount may show a part of the tree, or ours may lie outside of it."""
    inside = group.removeprefix(shown) if shown != "/" else group
    path = point / inside.strip("/")
    return path if ".." not in path.parts and path.is_dir() else point


def _legacy(point: Path, group: Path, controllers: frozenset[str]) -> Hierarchy | None:
    if not os.access(group, os.W_OK | os.X_OK):
        return None
    return Hierarchy(base=group, top=point, controllers=controllers, unified=False)


def _unified(point: Path, group: Path, had: frozenset[str]) -> Hierarchy | None:
    """Return the nearest group upwards that can have groups with controllers below it."""
    for base in _upwards(group, point):
        there = CONTROLLERS & set(_words(base / "cgroup.controllers"))
        if _may_hold_ours(base) and (there - had or had):
            return Hierarchy(base=base, top=point, controllers=there - had, unified=True)
        if _is_limited(base):
            return None
    return None


def _may_hold_ours(base: Path) -> bool:
    files = (base, base / "cgroup.procs", base / "cgroup.subtree_control")
    if not all(os.access(file, os.W_OK) for file in files):
        return False
    is_root = not (base / "cgroup.type").exists()  # the root of all may hold processes and groups alike
    return is_root or not _words(base / "cgroup.procs")


def _is_limited(group: Path) -> bool:
    cpu = _words(group / "cpu.max")
    return read_limit(group / "memory.max") is not None or cpu[:1] not in ([], ["max"])


def _upwards(group: Path, top: Path) -> Iterator[Path]:
    yield group
    while group != top:
        group = group.parent
        yield group


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
