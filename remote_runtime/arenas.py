"""Memory that a notebook and its container share on one host: the fastest that can be had here."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - it is the point


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaRoot:
    """A directory for the arenas of sessions."""

    path: Path
    kind: str  # a word for people: what it is made of
    mounted: bool = False  # by us, so that we unmount it

    def close(self) -> None:
        """Give the memory back."""
        if self.mounted:
            subprocess.run([_tool("umount"), "--lazy", str(self.path)], capture_output=True, check=False)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


def open_arenas(runtime_dir: Path, chosen: Path | None = None) -> ArenaRoot:
    """Make, or find, the directory: huge pages where root may mount them, else ordinary shared memory, else a disk.

    It is always one of our own below a chosen one, which may hold other things: ours is removed at the end.
    """
    key = hashlib.sha256(str(runtime_dir).encode()).hexdigest()[:16]
    if chosen is not None:
        return _plain(chosen / f"cellburst-{key}", "as configured")
    mount_point = runtime_dir / "arena"
    if _mount(mount_point):
        return ArenaRoot(path=mount_point, kind="tmpfs with huge pages", mounted=True)
    if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK):
        try:
            return _plain(_own(_SHARED_MEMORY / f"cellburst-{os.getuid()}") / key, "shared memory with ordinary pages")
        except OSError as error:  # whoever took the name must not keep the runtime from starting
            log.warning("no shared memory for arenas: %s", error)
    return _plain(mount_point, "files")


def _mount(mount_point: Path) -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    mount_point.mkdir(mode=0o700, parents=True, exist_ok=True)
    if mount_point.is_mount():
        return True  # left by one that was killed; what runs may still use it
    options = "huge=always,mode=0700,size=75%,nosuid,nodev,noexec"
    try:
        done = subprocess.run(
            [_tool("mount"), "-t", "tmpfs", "-o", options, "cellburst", str(mount_point)],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    if done.returncode:
        log.info("no tmpfs of our own: %s", done.stderr.decode(errors="replace").strip())
    return done.returncode == 0


def _tool(name: str) -> str:
    return shutil.which(name) or f"/bin/{name}"


def _plain(path: Path, kind: str) -> ArenaRoot:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ArenaRoot(path=_own(path), kind=kind)


def _own(path: Path) -> Path:
    """Make a directory in a place everyone may write to; one that somebody else made is refused."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{path} is not a folder of yours alone: set CELLBURST_ARENA_DIR to one that is.")
    return path
