"""A directory in memory that both ends on one host share: files named by their content, written once, never changed.

On a tmpfs mounted `huge=always`, writing 100 MB costs what copying it costs. `write` and not a mapping, because a full
tmpfs answers `write` with an error and a mapping with SIGBUS.
"""

from __future__ import annotations

import mmap
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import xxhash

from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.blobs import ARENA_DIGEST_LENGTH, check_digest
from kernel_bridge.protocol.messages import Buffer

_WRITE_BYTES: Final = 1 << 30  # one write call takes less than 2 GiB everywhere
_NOT_ELSEWHERE: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, and no wait for a pipe
_OPEN_FLAGS: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | _NOT_ELSEWHERE
LEFT_BYTES: Final = 1 << 30  # of files that were written and never taken
_SPARED_S: Final = 60.0  # a file named in a message that is still on its way must not be trimmed


class Arena:
    """One session's shared directory."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def usable(self) -> bool:
        """Tell whether the directory is here and may be written: the other end is on this host, and is ours."""
        # Asked in this order: another user's is below a folder that may not even be looked into.
        return os.access(self.path, os.R_OK | os.W_OK | os.X_OK) and self.path.is_dir()

    def has(self, digest: str) -> bool:
        """Tell whether this content is here."""
        return self._file(digest).is_file()

    def put(self, data: Buffer, digest: str = "") -> str:
        """Write the bytes unless they are here; return their xxh3_128. Raises OSError (ENOSPC: the arena is full)."""
        view = memoryview(data).cast("B")
        name = digest or xxhash.xxh3_128_hexdigest(view)
        target = self._file(name)
        try:
            os.utime(target)  # here already: keep it from being trimmed before it is read
        except FileNotFoundError:
            self._write(target, view)
        return name

    def map(self, digest: str, size_bytes: int) -> memoryview:
        """Return the content as private memory: writing to it changes nothing but this view. Raises NotFound."""
        try:
            descriptor = os.open(self._file(digest), os.O_RDONLY | _OPEN_FLAGS)
        except FileNotFoundError:
            raise NotFound(f"The shared arena {self.path} holds no {digest}.") from None
        try:
            found = os.fstat(descriptor).st_size
            if found != size_bytes:
                raise NotFound(f"{digest} in the arena {self.path} has {found} bytes instead of {size_bytes}.")
            # An empty file cannot be mapped.
            return memoryview(mmap.mmap(descriptor, size_bytes, access=mmap.ACCESS_COPY) if size_bytes else bytearray())
        finally:
            os.close(descriptor)

    def link_from(self, other: Arena, digest: str) -> None:
        """Take over a file of another arena, without copying where both are on one file system. Raises NotFound."""
        source, target = other._file(digest), self._file(digest)
        try:
            if not target.is_file():
                os.link(source, target)
            os.utime(target)  # as in `put`
        except FileExistsError:  # another was faster
            return
        except FileNotFoundError:
            raise NotFound(f"The shared arena {other.path} holds no {digest}.") from None
        except OSError:  # another file system, or one that does not allow links
            self.put(other.map(digest, source.stat().st_size), digest)

    def remove(self, digest: str) -> None:
        """Forget a file; whoever has mapped it keeps it."""
        self._file(digest).unlink(missing_ok=True)

    def release(self, digests: Iterable[str]) -> None:
        """Forget files that were taken, and of those that nobody took the ones above a limit."""
        taken = tuple(digests)
        for digest in taken:
            self.remove(digest)
        if taken:
            self.trim(LEFT_BYTES)

    def trim(self, limit_bytes: int) -> int:
        """Remove the files unused for longest until at most `limit_bytes` are left; return the bytes removed."""
        found = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.name) for entry in os.scandir(self.path))
        excess = sum(size for _, size, _ in found) - limit_bytes
        removed = 0
        for used_at, size, name in found:
            if removed >= excess or used_at > time.time() - _SPARED_S:
                break
            (self.path / name).unlink(missing_ok=True)
            removed += size
        return removed

    def _file(self, digest: str) -> Path:
        if len(check_digest(digest)) != ARENA_DIGEST_LENGTH:
            raise NotFound(f"{digest} does not name a file of an arena.")
        return self.path / digest

    def _write(self, target: Path, view: memoryview) -> None:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            _write_new(temporary, view)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _write_new(path: Path, view: memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, 0o600)
    try:
        done = 0
        while done < len(view):
            done += os.write(descriptor, view[done : done + _WRITE_BYTES])
    finally:
        os.close(descriptor)
