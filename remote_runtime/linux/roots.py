"""A root of our own: an empty file system with exactly the mounts that are named, and a move into it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remote_runtime.linux import calls

_OLD: Final = ".old-root"
_POINT: Final = getattr(os, "O_PATH", 0) | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_DIRECTORY: Final = _POINT | os.O_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """What is at `source` now and will be at `target` in the new root. Devices work only where that is asked for.

    With `below` it is a folder in `source`, to which no link leads.
    """

    source: str
    target: str
    read_only: bool = True
    devices: bool = False
    below: str = ""

    @classmethod
    def same(cls, path: str, *, read_only: bool = True, devices: bool = False) -> Bind:
        """Return what keeps its path."""
        return cls(source=path, target=path, read_only=read_only, devices=devices)


def build_root(root: Path, binds: Iterable[Bind], *, owner: int | None = None) -> None:
    """Mount an empty file system at `root` and bind into it; its own directories belong to `owner`, as seen from here.

    Needs CAP_SYS_ADMIN in a mount namespace of this process's own. Raises OSError.
    """
    mount_empty(root, owner=owner)
    bind_all(root, binds, owner=owner)


def mount_empty(root: Path, *, owner: int | None = None) -> None:
    """Mount an empty file system at `root`; raises OSError."""
    root.mkdir(parents=True, exist_ok=True)
    owned = f",uid={owner},gid={owner}" if owner is not None else ""
    calls.mount("cellburst", str(root), "tmpfs", calls.MS_NOSUID | calls.MS_NODEV, f"mode=755,size=16m{owned}")


def bind_all(root: Path, binds: Iterable[Bind], *, owner: int | None = None) -> None:
    """Bind below `root`, upper directories first; what does not exist is left out. Raises OSError.

    Some lie in others that cells wrote in before: nothing on the way to a target is followed that is a link.
    """
    for bind in sorted(binds, key=lambda one: len(Path(one.target).parts)):
        _place(root, bind, owner)


def seal_root(root: Path) -> None:
    """Let nobody write beside what is mounted."""
    calls.set_mount_attributes(str(root), calls.MOUNT_ATTR_RDONLY, recursive=False)


def change_root(root: Path) -> str:
    """Make `root` this process's root; returns where the old one is, until `leave_old_root`. Raises OSError."""
    (root / _OLD).mkdir(exist_ok=True)
    calls.pivot_root(str(root), str(root / _OLD))
    os.chdir("/")
    return f"/{_OLD}"


def leave_old_root(old: str) -> None:
    """Let go of the old root and of everything on it; raises OSError."""
    calls.mount("none", old, flags=calls.MS_REC | calls.MS_PRIVATE)
    calls.unmount(old)
    Path(old).rmdir()


def make_folder(folder: Path, owner: int | None = None) -> None:
    """Make a directory and those above it; the new ones belong to `owner`. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent, owner)
    folder.mkdir(mode=0o755)
    if owner is not None:
        os.chown(folder, owner, owner)


def make_mount_point(target: Path, directory: bool, owner: int | None = None) -> None:
    """Make a directory, or an empty file, for something to be mounted on; raises OSError."""
    if directory:
        make_folder(target, owner)
    elif not target.exists():
        make_folder(target.parent, owner)
        target.touch()


def _place(root: Path, bind: Bind, owner: int | None) -> None:
    source = Path(bind.source)
    if not source.is_symlink() and not source.exists():
        return
    try:
        with _opened(_directory_of(root, bind.target, owner)) as folder:
            _bind(source, bind, folder, owner)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise OSError(f"nothing can be shown at {bind.target}: {why}. Choose a path of your own.") from error


def _bind(source: Path, bind: Bind, folder: int, owner: int | None) -> None:
    name = Path(bind.target).name
    if source.is_symlink():
        with contextlib.suppress(FileExistsError):
            os.symlink(source.readlink(), name, dir_fd=folder)
        return
    attributes = calls.MOUNT_ATTR_NOSUID
    attributes |= calls.MOUNT_ATTR_RDONLY if bind.read_only else 0
    attributes |= 0 if bind.devices else calls.MOUNT_ATTR_NODEV
    with (
        _opened(_mount_point(folder, name, source.is_dir(), owner)) as point,
        _opened(source_tree(bind)) as tree,
    ):
        calls.set_mount_attributes(tree, attributes)
        calls.attach_tree(tree, point)


def source_tree(bind: Bind) -> int:
    """Detach what is bound. Somebody may put a link on the way to `below` at any moment, and none is followed."""
    if not bind.below:
        return calls.open_tree(bind.source)
    here = os.open(bind.source, _DIRECTORY)
    for part in Path(bind.below).parts:
        with _opened(here) as above:
            here = os.open(part, _DIRECTORY, dir_fd=above)
    with _opened(here):
        return calls.open_tree(here)


def _directory_of(root: Path, target: str, owner: int | None) -> int:
    """Open the directory that a target lies in, making what is missing of it."""
    if ".." in Path(target).parts or not Path(target).name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    here = os.open(root, _DIRECTORY)
    for part in Path(target).parts[1:-1]:
        with _opened(here) as above:
            here = _mount_point(above, part, True, owner)
    return here


def _mount_point(folder: int, name: str, directory: bool, owner: int | None) -> int:
    """Open a directory or a file of this name, which is made if need be; raises OSError for a link."""
    try:
        found = os.open(name, _POINT, dir_fd=folder)
    except FileNotFoundError:
        if directory:
            os.mkdir(name, 0o755, dir_fd=folder)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder))
        if owner is not None:
            os.chown(name, owner, owner, dir_fd=folder, follow_symlinks=False)
        found = os.open(name, _POINT, dir_fd=folder)
    if stat.S_ISLNK(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(errno.ELOOP, "a link lies there")
    return found


@contextlib.contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
