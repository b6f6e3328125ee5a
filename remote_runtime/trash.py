"""Remove a directory tree that somebody else filled: no recursion, few descriptors, and no link is followed."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def throw_away(parent: int, name: str, bin_dir: Path) -> None:
    """Make `name` in the open directory `parent` vanish at once, then remove what was below it.

    The bin is a private directory on the same file system. Each directory found is moved there first, so a tree however
    deep is a list of flat ones.
    """
    with _opened(os.open(bin_dir, _DIRECTORY)) as bin_fd:
        waiting = [_take(parent, name, bin_fd)]
        while waiting:
            waiting.extend(_flatten(waiting.pop(), bin_fd))


def empty_bin(bin_dir: Path) -> None:
    """Remove what an earlier process left in the bin."""
    with _opened(os.open(bin_dir, _DIRECTORY)) as bin_fd:
        waiting = _sift(bin_fd, bin_fd)
        while waiting:
            waiting.extend(_flatten(waiting.pop(), bin_fd))


def remove_tree(path: Path) -> None:
    """Remove a directory, however deep, with all below; one that is not there is fine. Raises OSError."""
    with suppress(FileNotFoundError):
        empty_bin(path)
        path.rmdir()


def _flatten(name: str, bin_fd: int) -> list[str]:
    """Remove one directory of the bin; return those it held, which lie in the bin now."""
    with _opened(os.open(name, _DIRECTORY, dir_fd=bin_fd)) as here:
        os.fchmod(here, 0o700)
        found = _sift(here, bin_fd)
    os.rmdir(name, dir_fd=bin_fd)
    return found


def _sift(here: int, bin_fd: int) -> list[str]:
    """Unlink the files of an open directory and take its directories into the bin; return their names there."""
    found = []
    for name in os.listdir(here):
        if stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            found.append(_take(here, name, bin_fd))
        else:
            os.unlink(name, dir_fd=here)
    return found


def _take(parent: int, name: str, bin_fd: int) -> str:
    taken = secrets.token_hex(16)
    try:
        os.rename(name, taken, src_dir_fd=parent, dst_dir_fd=bin_fd)
    except PermissionError:
        _unlock(parent, name)  # a directory that is not writable cannot be moved
        os.rename(name, taken, src_dir_fd=parent, dst_dir_fd=bin_fd)
    with suppress(PermissionError):
        _unlock(bin_fd, taken)
    return taken


def _unlock(parent: int, name: str) -> None:
    """Let us into a directory whose maker locked it; through a descriptor, so that no link can be put in its place."""
    path_only = getattr(os, "O_PATH", os.O_RDONLY)
    with _opened(os.open(name, path_only | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)) as descriptor:
        if path_only == os.O_RDONLY:
            os.fchmod(descriptor, 0o700)
        else:
            Path(f"/proc/self/fd/{descriptor}").chmod(0o700)


@contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
