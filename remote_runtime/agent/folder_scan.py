"""What lies below a directory now, found for the price of what is real there.

A folder whose own time has not moved holds the names it held: only its files are looked at, and of those not the ones
that nobody has opened. So a folder of a hundred thousand names costs one system call.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.cells import UNLISTED_FOLDERS

TEMPORARY: Final = ".cellburst-"  # how names of our own begin
_SETTLED_NS: Final = 100_000_000  # a folder that changed in this while may change again within one tick of its clock

Stamp = tuple[int, int, int, int]  # mtime in ns, size in bytes, inode, permissions


@dataclass(slots=True)
class Found:
    """Everything below a directory, by paths relative to it."""

    files: dict[str, Stamp] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)  # -> permissions
    links: dict[str, str] = field(default_factory=dict)  # -> target
    quiet: set[str] = field(default_factory=set)  # folders that hold the names they held
    cut: bool = False  # there is more


@dataclass(slots=True)
class _Names:
    """What a folder held when it was listed."""

    mark: tuple[int, int]  # mtime in ns, inode
    settled: bool
    files: list[str]
    folders: list[str]
    links: dict[str, str]


class FolderScan:
    """Looks again and again below one directory."""

    def __init__(self, root: str, limit: int) -> None:
        self._root = root
        self._limit = limit  # of entries that are looked at
        self._names: dict[str, _Names] = {}

    def look(self, unopened: Container[str] = frozenset()) -> Found:
        """Return what is there, less the files that are known to be as they were put there."""
        found, pending, names = Found(), [""], dict[str, _Names]()
        while pending:
            folder = pending.pop()
            held = self._held(folder, unopened)
            if held is None:
                continue
            names[folder] = held
            if held is self._names.get(folder):
                found.quiet.add(folder.removesuffix("/"))
            found.links |= {folder + name: target for name, target in held.links.items()}
            pending += [f"{folder}{name}/" for name in held.folders]
            if folder:
                found.folders[folder[:-1]] = stat.S_IMODE(self._mode(folder))
            if not self._add_files(folder, held.files, unopened, found):
                found.cut = True
                break
        self._names = names
        return found

    def note_opened(self, path: str) -> None:
        """Look at a file from now on that was known to be as it was put there."""
        folder, _, name = path.rpartition("/")
        names = self._names.get(f"{folder}/" if folder else "")
        if names is not None and name not in names.files:
            names.files.append(name)

    def _add_files(self, folder: str, files: Iterable[str], unopened: Container[str], found: Found) -> bool:
        for name in files:
            path = folder + name
            if path in unopened:
                continue
            if len(found.files) + len(found.folders) >= self._limit:
                return False
            try:
                status = os.lstat(f"{self._root}/{path}")
            except OSError:  # removed meanwhile
                continue
            if stat.S_ISREG(status.st_mode):
                found.files[path] = stamp(status)
        return True

    def _mode(self, folder: str) -> int:
        try:
            return os.lstat(f"{self._root}/{folder}").st_mode
        except OSError:
            return 0o755

    def _held(self, folder: str, unopened: Container[str]) -> _Names | None:
        try:
            status = os.lstat(f"{self._root}/{folder}")
        except OSError:
            return None
        mark, known = (status.st_mtime_ns, status.st_ino), self._names.get(folder)
        if known is not None and known.settled and known.mark == mark:
            return known
        settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
        names = _Names(mark, settled, [], [], {})
        for entry in _entries(f"{self._root}/{folder}"):
            if entry.name.startswith(TEMPORARY):
                continue
            if entry.is_symlink():
                names.links[entry.name] = _target(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                names.folders += [entry.name] if entry.name not in UNLISTED_FOLDERS else []
            elif folder + entry.name not in unopened:
                names.files.append(entry.name)
        return names


def stamp(status: os.stat_result) -> Stamp:
    """Return what changes with a file."""
    return status.st_mtime_ns, status.st_size, status.st_ino, stat.S_IMODE(status.st_mode)


def _target(link: str) -> str:
    try:
        return str(Path(link).readlink())
    except OSError:  # removed meanwhile
        return ""


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # removed, or closed to us, meanwhile
        return []
