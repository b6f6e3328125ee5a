"""What lies in a volume: walked through open directories, so that no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from kernel_bridge.errors import NotFound
from remote_runtime.volumes.paths import DEPTH_LIMIT, Walk

Kind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a volume. A link is told as a link; what it leads to is not looked at."""

    path: str  # from the volume's root, with forward slashes, without one in front
    kind: Kind
    size_bytes: int
    modified_at_s: float
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One name met on a walk, and the open directory it is in: good until the walk goes on."""

    path: str
    name: str
    folder: int
    info: os.stat_result


def below(descriptor: int, prefix: str, *, deep: bool, depth: int = 0) -> Iterator[Found]:
    """Yield what is in an open directory; follows no link and skips what vanishes meanwhile."""
    for name in os.listdir(descriptor):
        with suppress(FileNotFoundError):
            info = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            yield Found(prefix + name, name, descriptor, info)
            if deep and stat.S_ISDIR(info.st_mode) and depth < DEPTH_LIMIT:
                yield from _inside(descriptor, name, prefix, depth + 1)


def look(walk: Walk, name: str) -> os.stat_result:
    """Return what a name in the directory reached is; raises NotFound."""
    try:
        return os.stat(name, dir_fd=walk.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        raise NotFound(f"There is no {name!r} in this volume.") from None


def entry_of(path: str, info: os.stat_result) -> Entry:
    """Return how an entry is told."""
    readable = os.fsencode(path).decode("utf-8", "replace")  # names are bytes, and need not be text
    return Entry(
        path=readable,
        kind=_kind(info),
        size_bytes=info.st_size,
        modified_at_s=info.st_mtime,
        executable=is_file(info) and bool(info.st_mode & 0o100),
    )


def is_file(info: os.stat_result) -> bool:
    """Tell whether it is a regular file."""
    return stat.S_ISREG(info.st_mode)


def _inside(descriptor: int, name: str, prefix: str, depth: int) -> Iterator[Found]:
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
    except OSError:
        return  # gone, a link by now, or closed to us: it was listed, that is all that can be said
    try:
        yield from below(inner, f"{prefix}{name}/", deep=True, depth=depth)
    finally:
        os.close(inner)


def _kind(info: os.stat_result) -> Kind:
    if stat.S_ISDIR(info.st_mode):
        return "directory"
    if stat.S_ISLNK(info.st_mode):
        return "link"
    return "file" if is_file(info) else "other"
