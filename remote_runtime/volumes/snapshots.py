"""Versions of a volume: commit what it holds, list the versions, show one, forget one.

A commit reads what is new or was changed since the one before; the rest it knows by inode, size and times. Writers are
not stopped: a version holds every file as it was at one moment of the commit.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kernel_bridge.errors import TooLarge
from remote_runtime.clock import Clock
from remote_runtime.trash import remove_tree
from remote_runtime.volumes.entries import Found, below, is_file
from remote_runtime.volumes.manifests import Item, Manifests, Version
from remote_runtime.volumes.objects import Objects
from remote_runtime.volumes.paths import walking
from remote_runtime.volumes.rooms import Room

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Snapshots:
    """The versions of one volume, below a directory of their own on the same file system."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._manifests = Manifests(directory / "versions")

    def log(self) -> tuple[Version, ...]:
        """Return the versions, newest first."""
        return self._manifests.versions()[::-1]

    def get(self, version: int) -> Version:
        """Return one version; raises NotFound."""
        return self._manifests.get(version)

    def commit(self, root: Path, message: str, room: Room) -> Version:
        """Keep what the volume holds now; the newest version again when nothing is other than in it.

        Raises Conflict for a file that is written all the time, TooLarge without room; then nothing is kept.
        """
        with self._locked():
            last = next(iter(self.log()), None)
            known = {item.path: item for item in self._manifests.items(last.version)} if last else {}
            gathering = _Gathering(Objects(self._directory / "objects"), known, room)
            try:
                items = gathering.gather(root)
                if last and not gathering.changed and len(items) == len(known):
                    return last
                return self._write(last, items, message, gathering)
            except BaseException:
                gathering.objects.take_back()
                raise

    def show(self, version: int) -> Path:
        """Return a directory that holds a version, for reading only; raises NotFound."""
        self._manifests.get(version)
        tree = self._directory / "trees" / str(version)
        with self._locked():
            if not tree.is_dir():
                self._build(version, tree)
        return tree

    def forget(self, version: int) -> int:
        """Forget a version and what only it held; return how many bytes of disk that gives back. Raises NotFound."""
        self._manifests.get(version)
        with self._locked():
            self._manifests.forget(version)
            remove_tree(self._directory / "trees" / str(version))
            needed = {
                item.content
                for kept in self._manifests.versions()
                for item in self._manifests.items(kept.version)
                if item.kind == "file"
            }
            return Objects(self._directory / "objects").forget_others(frozenset(needed))

    def disk_bytes(self) -> int:
        """Return how much disk the versions take."""
        return sum(version.new_bytes for version in self._manifests.versions())

    def _write(self, last: Version | None, items: list[Item], message: str, gathering: _Gathering) -> Version:
        files = [item for item in items if item.kind == "file"]
        version = Version(
            version=last.version + 1 if last else 1,
            created_at_s=self._clock.now(),
            message=message,
            files=len(files),
            size_bytes=sum(item.size_bytes for item in files),
            new_bytes=gathering.objects.added_bytes,
            skipped=gathering.skipped,
        )
        self._manifests.write(version, items)
        return version

    def _build(self, version: int, tree: Path) -> None:
        building = tree.with_name(f".{secrets.token_hex(8)}")
        building.mkdir(mode=0o755, parents=True)
        objects = Objects(self._directory / "objects")
        try:
            with _folders(building) as folder_of:
                for item in self._manifests.items(version):
                    folder, name = folder_of(item.path)
                    _show(item, objects, folder, name)
            building.rename(tree)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class _Gathering:
    """One commit while it runs."""

    def __init__(self, objects: Objects, known: dict[str, Item], room: Room) -> None:
        self.objects = objects
        self.changed = False
        self.skipped = 0
        self._known = known
        self._room = room

    def gather(self, root: Path) -> list[Item]:
        items: list[Item] = []
        with walking(root) as walk:
            for found in below(walk.descriptor, "", deep=True):
                with suppress(FileNotFoundError):  # it went away meanwhile
                    item = self._item(found)
                    if item is None:
                        self.skipped += 1
                        continue
                    known = self._known.get(item.path)
                    self.changed |= known is None or (known.kind, known.content) != (item.kind, item.content)
                    items.append(item)
        return items

    def _item(self, found: Found) -> Item | None:
        mode = found.info.st_mode
        if stat.S_ISDIR(mode):
            return Item(found.path, "directory")
        if stat.S_ISLNK(mode):
            return Item(found.path, "link", os.readlink(found.name, dir_fd=found.folder))
        return self._file(found) if is_file(found.info) else None

    def _file(self, found: Found) -> Item | None:
        known = self._known.get(found.path)
        if known is not None and known.kind == "file" and known.stamp == _stamp(found.info):
            return known
        descriptor = os.open(found.name, _FILE, dir_fd=found.folder)
        try:
            if not is_file(os.fstat(descriptor)):
                return None
            self._check_room(os.fstat(descriptor).st_blocks * 512)
            stored = self.objects.keep(descriptor, found.path)
        finally:
            os.close(descriptor)
        return Item(found.path, "file", stored.name, stored.info.st_size, _stamp(stored.info))

    def _check_room(self, wanted_bytes: int) -> None:
        if not self._room.holds(self.objects.added_bytes + wanted_bytes):
            raise TooLarge(self._room.why)


def _stamp(info: os.stat_result) -> tuple[int, int, int, int]:
    return (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _show(item: Item, objects: Objects, folder: int, name: str) -> None:
    if item.kind == "directory":
        os.mkdir(name, 0o755, dir_fd=folder)
    elif item.kind == "link":
        os.symlink(item.content, name, dir_fd=folder)
    else:
        objects.link(item.content, folder, name)


@contextmanager
def _folders(root: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Yield what says in which open directory a path lies; the one used last stays open."""
    opened: dict[str, int] = {}

    def folder_of(path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        if above not in opened:
            while opened:
                os.close(opened.popitem()[1])
            opened[above] = os.open(root / above, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return opened[above], name

    try:
        yield folder_of
    finally:
        while opened:
            os.close(opened.popitem()[1])
