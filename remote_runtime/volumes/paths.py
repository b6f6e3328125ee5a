"""Walk a path inside a volume without ever leaving it, whatever links the volume's users left there.

Every component is opened relative to the directory before it and without following links; a link is read and its
target walked by the same rules. `..` is never given to the system: it goes back to a directory that is held open.
So there is no moment between a check and a use, and an absolute target or one above the volume's root is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadRequest, Conflict, NotFound

PATH_LIMIT_BYTES: Final = 4096
NAME_LIMIT_BYTES: Final = 255
LINKS_LIMIT: Final = 40
DEPTH_LIMIT: Final = 64  # directories below the root; each is an open descriptor while we are there

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def parts_of(path: str) -> tuple[str, ...]:
    """Return a path's components; a leading slash means the volume's root. Raises BadRequest for what is no path."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        raise BadRequest("A path in a volume must be text that UTF-8 can write.") from None
    if len(raw) > PATH_LIMIT_BYTES or b"\0" in raw:
        raise BadRequest(f"A path in a volume may have {PATH_LIMIT_BYTES} bytes, none of them NUL.")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    for part in parts:
        if part == ".." or len(part.encode()) > NAME_LIMIT_BYTES:
            raise BadRequest(f"{path[:80]!r} cannot be a path in a volume: no `..`, and names of at most 255 bytes.")
    return parts


def file_parts_of(path: str) -> tuple[str, ...]:
    """Return a path's components where it is to be a file's; raises BadRequest for the root, too."""
    parts = parts_of(path)
    if not parts:
        raise BadRequest("A file in a volume wants a name.")
    return parts


class Walk:
    """A place in a volume: the directories on the way to it, each held open. Use as a context manager."""

    def __init__(self, root: Path) -> None:
        self._stack = [os.open(root, _DIRECTORY)]
        self._links = 0

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_: object) -> None:
        while self._stack:
            os.close(self._stack.pop())

    @property
    def descriptor(self) -> int:
        """Return the directory reached so far."""
        return self._stack[-1]

    def enter(self, parts: tuple[str, ...], *, make: bool = False) -> None:
        """Go into these directories, making those that are not there if asked; raises NotFound."""
        rest = self._descend(parts, make=make)
        if rest is not None:
            raise NotFound(f"{rest!r} is not a directory in this volume.")

    def enter_plain(self, parts: tuple[str, ...], *, make: bool = False) -> None:
        """Go into these directories, none of which may be a link: what mounts them follows none. Raises Conflict."""
        for part in parts:
            if self._is_link(part):
                raise Conflict(f"{part!r} is a link in this volume: mount the folder it leads to by its own path.")
            if not self._down(part, make=make):
                raise NotFound(f"{part!r} is not a directory in this volume.")

    def find(self, parts: tuple[str, ...]) -> str | None:
        """Go to where the last component really is; return its name there, or None when it is a directory (entered)."""
        return self._descend(parts, make=False)

    def _descend(self, parts: tuple[str, ...], *, make: bool) -> str | None:
        """Walk; the last component may be something else than a directory, and then its name is returned."""
        pending = deque(parts)
        while pending:
            part = pending.popleft()
            if part == "..":
                self._up()
            elif (target := self._link(part)) is not None:
                pending.extendleft(reversed(target))
            elif not self._down(part, make=make):
                if pending:
                    raise NotFound(f"{part!r} is not a directory in this volume.")
                return part
        return None

    def _up(self) -> None:
        if len(self._stack) == 1:
            raise BadRequest("This link leads out of its volume: it is not followed.")
        os.close(self._stack.pop())

    def _is_link(self, part: str) -> bool:
        try:
            return stat.S_ISLNK(os.stat(part, dir_fd=self.descriptor, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def _link(self, part: str) -> tuple[str, ...] | None:
        """Return the components of a link's target, None when it is no link."""
        try:
            target = os.readlink(part, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise
        self._links += 1
        if self._links > LINKS_LIMIT:
            raise BadRequest(f"{part!r} leads through more than {LINKS_LIMIT} links.")
        if target.startswith("/"):
            raise BadRequest(f"{part!r} is a link that leads out of its volume: it is not followed.")
        return tuple(piece for piece in target.split("/") if piece not in ("", "."))

    def _down(self, part: str, *, make: bool) -> bool:
        """Enter a directory; False when it is something else."""
        if len(self._stack) > DEPTH_LIMIT:
            raise BadRequest(f"A path in a volume may go {DEPTH_LIMIT} directories deep.")
        try:
            self._stack.append(os.open(part, _DIRECTORY, dir_fd=self.descriptor))
        except FileNotFoundError:
            if not make:
                raise NotFound(f"There is no {part!r} in this volume.") from None
            self._make(part)
            return self._down(part, make=False)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            return False
        return True

    def _make(self, part: str) -> None:
        try:
            os.mkdir(part, 0o755, dir_fd=self.descriptor)
        except FileExistsError:
            return  # somebody made it meanwhile; or a link took its place, which the next look refuses


@contextmanager
def walking(root: Path) -> Iterator[Walk]:
    """Begin at a volume's root; raises NotFound when it is gone, and what the system refuses as errors of ours."""
    try:
        walk = Walk(root)
    except OSError as error:
        raise NotFound(f"The directory of volume {root.name!r} is not there.") from error
    try:
        with walk:
            yield walk
    except PermissionError as error:
        raise Conflict(f"The permissions set on {error.filename!r} in this volume forbid it.") from None
    except (NotADirectoryError, FileNotFoundError) as error:
        raise NotFound(f"There is no {error.filename!r} in this volume any more.") from None


def open_regular(walk: Walk, name: str) -> int:
    """Open a file for reading; raises Conflict for a device, a pipe or a socket, and NotFound."""
    try:
        # O_NONBLOCK: opening a pipe that nobody writes would wait for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=walk.descriptor)
    except FileNotFoundError:
        raise NotFound(f"There is no {name!r} in this volume.") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Conflict(f"{name!r} is not a regular file.") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Conflict(f"{name!r} is not a regular file.")
    return descriptor
