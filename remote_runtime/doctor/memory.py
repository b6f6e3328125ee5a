"""Memory that a notebook and its container share: large pages, ordinary ones, or a disk."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.doctor.mounts import mounted_on, nearest_folder, read_table
from remote_runtime.doctor.probing import Outcomes, attempt, in_child, why, worked
from remote_runtime.linux import calls

_SHARED: Final = Path("/dev/shm")  # noqa: S108 - it is looked at, not written to
_ENOUGH_BYTES: Final = 512 << 20
_HUGE: Final = frozenset({"huge=always", "huge=within_size"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """What arenas could be made of."""

    linux: bool
    uid: int
    tried: Outcomes = field(default_factory=dict)  # "large pages": a tmpfs of our own, mounted by root
    chosen: Path | None = None  # CELLBURST_ARENA_DIR
    chosen_is_large: bool = False
    shared_free_bytes: int | None = None  # of /dev/shm; None where it cannot be written to


def probe(arena_dir: Path | None) -> MemoryFacts:
    """Mount a tmpfs with large pages in a child's view, and look at what else there is."""
    linux = sys.platform == "linux"
    mount = mounted_on(nearest_folder(arena_dir), read_table()) if arena_dir else None
    writable = _SHARED.is_dir() and os.access(_SHARED, os.W_OK)
    return MemoryFacts(
        linux=linux,
        uid=os.geteuid(),
        tried=in_child(_mount_large) if linux and os.geteuid() == 0 else {},
        chosen=arena_dir,
        chosen_is_large=mount is not None and bool(_HUGE & mount.options),
        shared_free_bytes=shutil.disk_usage(_SHARED).free if writable else None,
    )


def judge(facts: MemoryFacts) -> tuple[Finding, ...]:
    """Say how values will travel on this host, in the order in which the runtime chooses."""
    if facts.chosen is not None:
        return (_chosen(facts),)
    if worked(facts.tried, "large pages"):
        found = "a tmpfs with huge=always was mounted in a trial"
        return (_finding(Grade.OK, found, "Cells will get arrays of this host's notebooks at the speed of a copy."),)
    reason = f"; {why(facts.tried, 'large pages')}" if facts.tried else ""
    if facts.shared_free_bytes is None:
        means = "Cells will get arrays through files on a disk."
        return (_finding(Grade.WEAKER, f"no shared memory can be written to{reason}", means, _mend(facts)),)
    if facts.shared_free_bytes < _ENOUGH_BYTES:
        found = f"ordinary pages, {facts.shared_free_bytes >> 20} MiB free in {_SHARED}{reason}"
        means = "Cells will get arrays that do not fit there through HTTP."
        return (_finding(Grade.WEAKER, found, means, f"sudo mount -o remount,size=50% {_SHARED}"),)
    means = "Cells will get large arrays 5 to 10 times slower, on first use, than through large pages."
    return (_finding(Grade.WEAKER, f"ordinary pages in {_SHARED}{reason}", means, _mend(facts)),)


def _chosen(facts: MemoryFacts) -> Finding:
    if facts.chosen_is_large:
        means = "Cells will get arrays of this host's notebooks at the speed of a copy."
        return _finding(Grade.OK, f"CELLBURST_ARENA_DIR is {facts.chosen}, with large pages", means)
    found = f"CELLBURST_ARENA_DIR is {facts.chosen}, without large pages"
    means = "Cells will get large arrays of this host's notebooks several times slower on first use."
    return _finding(Grade.WEAKER, found, means, _mend(facts))


def _mend(facts: MemoryFacts) -> str:
    if not facts.linux:
        return "Nothing does here: only Linux mounts memory with large pages."
    if facts.uid == 0 and facts.chosen is None:
        return "In a container, start it with `--cap-add SYS_ADMIN`, or with a larger `--shm-size`."
    folder = facts.chosen or Path("/mnt/cellburst")
    mount = f"sudo mount -m -t tmpfs -o huge=always,mode=0700,uid={facts.uid},nosuid,nodev cellburst {folder}"
    return mount if facts.chosen else f"{mount}; then set CELLBURST_ARENA_DIR={folder}"


def _mount_large(outcomes: Outcomes) -> None:
    attempt(outcomes, "large pages", _mount_in_own_view)


def _mount_in_own_view() -> None:
    calls.unshare(calls.CLONE_NEWNS)
    calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)
    calls.mount("cellburst", tempfile.gettempdir(), "tmpfs", options="huge=always,size=75%")


def _finding(grade: Grade, found: str, means: str, mend: str = "") -> Finding:
    return Finding(group=Group.SPEED, subject="shared memory", grade=grade, found=found, means=means, mend=mend)
