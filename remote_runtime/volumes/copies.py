"""Copy files within a volume, or out of one of its versions: `cp` as the runtime does it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadRequest, Conflict, NotFound, TooLarge
from remote_runtime.volumes.copying import copy_file
from remote_runtime.volumes.entries import below, is_file
from remote_runtime.volumes.paths import open_regular, parts_of, walking
from remote_runtime.volumes.rooms import Room
from remote_runtime.volumes.writing import put_in_place

_OLD: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Copier:
    """Copies from one tree to another, or within one. Each file appears whole."""

    def __init__(self, source: Path, root: Path, incoming: Path, room: Room) -> None:
        self._source = source
        self._root = root
        self._incoming = incoming
        self._room = room
        self._taken_bytes = 0

    def copy(self, sources: Sequence[str], destination: str) -> int:
        """Copy files and directories to a path, as `cp -r` does; return how many files.

        Several sources, and a destination that is a directory or ends in a slash, are copied into it. Raises NotFound,
        BadRequest, Conflict, or TooLarge where the room ends: what was copied until then stays.
        """
        if not sources:
            raise BadRequest("Name at least one file or folder to copy.")
        to = parts_of(destination)
        into = len(sources) > 1 or destination.endswith("/") or _is_directory(self._root, to)
        return sum(self._copy(parts, (*to, *parts[-1:]) if into else to) for parts in map(parts_of, sources))

    def _copy(self, parts: tuple[str, ...], target: tuple[str, ...]) -> int:
        with walking(self._source) as walk:
            last = walk.find(parts)
            if last is not None:
                if not target:
                    raise BadRequest("Say where to copy it: a path in the volume.")
                self._put(open_regular(walk, last), target)
                return 1
            if self._source == self._root and target[: len(parts)] == parts:
                raise BadRequest(f"{'/'.join(parts) or '/'} cannot be copied into itself.")
            with walking(self._root) as made:
                made.enter(target, make=True)
            count = 0
            for found in below(walk.descriptor, "", deep=True):
                if is_file(found.info):
                    self._put(os.open(found.name, _OLD, dir_fd=found.folder), (*target, *found.path.split("/")))
                    count += 1
            return count

    def _put(self, descriptor: int, target: tuple[str, ...]) -> None:
        temporary = self._incoming / secrets.token_hex(16)
        try:
            info = os.fstat(descriptor)
            if not is_file(info):
                raise Conflict(f"{'/'.join(target)} is not a regular file.")
            self._taken_bytes += info.st_blocks * 512
            if not self._room.holds(self._taken_bytes):
                raise TooLarge(self._room.why)
            copied = os.open(temporary, _NEW, 0o755 if info.st_mode & 0o111 else 0o644)
            try:
                copy_file(descriptor, copied, info.st_size)
            finally:
                os.close(copied)
            put_in_place(self._root, target, temporary)
        finally:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)


def _is_directory(root: Path, parts: tuple[str, ...]) -> bool:
    try:
        with walking(root) as walk:
            return walk.find(parts) is None
    except NotFound:
        return False
