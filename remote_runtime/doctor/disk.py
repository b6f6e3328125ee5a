"""Disks: room and entries for what is kept, the kind of file system, and links between cache and environments."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.resources import show_size
from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.doctor.mounts import mounted_on, nearest_folder, read_table

_NETWORK: Final = ("nfs", "cifs", "smb", "9p", "afs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.sshfs")
_ENVIRONMENT_FILES: Final = 50_000  # one with torch in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much a folder needs: below the first cells cannot run, below the second they soon cannot."""

    least_bytes: int
    enough_bytes: int
    purpose: str
    variable: str
    vital: bool = True


DATA: Final = Room(
    least_bytes=256 << 20, enough_bytes=10 << 30, purpose="store, environments, volumes and saved values",
    variable="CELLBURST_DATA_DIR",
)  # fmt: skip
RUNTIME: Final = Room(
    least_bytes=1 << 20, enough_bytes=16 << 20, purpose="sockets and tokens", variable="CELLBURST_RUNTIME_DIR"
)
CACHE: Final = Room(
    least_bytes=256 << 20, enough_bytes=5 << 30, purpose="downloaded packages", variable="UV_CACHE_DIR", vital=False
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """One folder, or the nearest above it that exists."""

    name: str
    path: Path
    writable: bool
    free_bytes: int
    total_bytes: int
    free_files: int | None  # None where the file system does not count them
    kind: str = ""  # of the file system


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """Whether a file of the package cache can have a second name among the environments."""

    cache: Path
    data: Path
    refused: str = ""  # the system's reason; empty: it worked


def probe_folder(name: str, path: Path) -> FolderFacts:
    """Look at one folder."""
    folder = nearest_folder(path)
    room = os.statvfs(folder)
    mount = mounted_on(folder.resolve(), read_table())
    return FolderFacts(
        name=name,
        path=path,
        writable=_may_write(folder),
        free_bytes=room.f_bavail * room.f_frsize,
        total_bytes=room.f_blocks * room.f_frsize,
        free_files=room.f_favail if room.f_files else None,
        kind=mount.kind if mount else "",
    )


def probe_links(cache: Path, data: Path) -> LinkFacts:
    """Make a file in the cache, link it into the data folder, and remove both."""
    source_folder, target_folder = nearest_folder(cache), nearest_folder(data)
    refused = ""
    try:
        with tempfile.NamedTemporaryFile(dir=source_folder, prefix=".cellburst-doctor-") as file:
            link = target_folder / f".cellburst-doctor-link-{os.getpid()}"
            link.hardlink_to(file.name)
            link.unlink()
    except OSError as error:
        refused = error.strerror or str(error)
    return LinkFacts(cache=cache, data=data, refused=refused)


def judge_folder(facts: FolderFacts, room: Room) -> Finding:
    """Say whether there is room."""
    found = f"{facts.path}: {show_size(facts.free_bytes)} free of {show_size(facts.total_bytes)}"
    found += f", {facts.kind}" if facts.kind else ""
    grade, means, mend = _judged(facts, room)
    return Finding(
        group=Group.SPEED, subject=facts.name, grade=grade, found=found, means=means, mend=mend, vital=room.vital
    )


def judge_links(facts: LinkFacts) -> Finding:
    """Say what a new environment costs."""
    subject, group = "package links", Group.SPEED
    if not facts.refused:
        found, means = (
            "a file of the cache was linked into the data folder",
            "Cells will share installed packages, no copies.",
        )
        return Finding(group=group, subject=subject, grade=Grade.OK, found=found, means=means)
    return Finding(
        group=group, subject=subject, grade=Grade.WEAKER,
        found=f"from {facts.cache} to {facts.data}: {facts.refused}",
        means="Cells will wait for every new environment to be copied, which takes its size on disk again.",
        mend=f"Set UV_CACHE_DIR={facts.data.parent / 'uv-cache'}: the same file system as the data folder.",
    )  # fmt: skip


def _judged(facts: FolderFacts, room: Room) -> tuple[Grade, str, str]:
    elsewhere = f"Set {room.variable} to a folder of yours with more room."
    if not facts.writable:
        return Grade.MISSING, _never(room, "be written"), f"Set {room.variable} to a folder of yours."
    if facts.free_bytes < room.least_bytes:
        return Grade.MISSING, _never(room, "fit"), elsewhere
    if facts.free_files is not None and facts.free_files < 100:
        return Grade.MISSING, _never(room, "find a free entry"), elsewhere
    if facts.free_bytes < room.enough_bytes:
        return Grade.WEAKER, f"Cells will run until this disk is full of {room.purpose}.", elsewhere
    if room is not RUNTIME and facts.free_files is not None and facts.free_files < _ENVIRONMENT_FILES:
        means = f"Cells will run until this disk has no more entries: {facts.free_files:,} are left."
        return Grade.WEAKER, means, elsewhere
    if room is DATA and facts.kind.startswith(_NETWORK):
        means = "Cells will run, but a database on a network's file system can be damaged by a lost connection."
        return Grade.WEAKER, means, f"Set {room.variable} to a local disk, or CELLBURST_DATABASE_URL to a PostgreSQL."
    return Grade.OK, f"Cells will find room for {room.purpose}.", ""


def _never(room: Room, verb: str) -> str:
    return f"Cells will {'not run' if room.vital else 'run'}: {room.purpose} cannot {verb}."


def _may_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
