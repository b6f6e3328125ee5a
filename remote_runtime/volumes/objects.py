"""The contents that a volume's versions hold, each kept once under its digest.

An object is never what a container may write: it shares blocks with the file it was made of where the file system can,
else it is a copy. A version that is shown is made of hard links to objects, and only ever mounted read-only.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.errors import Conflict, NotFound
from kernel_bridge.protocol.content import CHUNK_BYTES, digest_of
from kernel_bridge.sparse import read_chunk
from remote_runtime.volumes.copying import copy_file

_TRIES: Final = 3
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Stored:
    """A file's content as an object: its name, and the state of the file that has it."""

    name: str
    info: os.stat_result


class Objects:
    """The objects of one volume. `added` are those of the commit that runs, so that one that fails takes them back."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.added: list[str] = []
        self.added_bytes = 0  # of disk

    def keep(self, source: int, path: str) -> Stored:
        """Keep an open file's bytes; raises Conflict when somebody writes it all the time, and OSError."""
        for _ in range(_TRIES):
            before = os.fstat(source)
            name = self._keep(source, before)
            after = os.fstat(source)
            if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
                return Stored(name, before)
        raise Conflict(f"{path} is being written: commit when that is done.")

    def link(self, name: str, folder: int, as_name: str) -> None:
        """Show an object under a name in an open directory; raises NotFound for one that is gone."""
        source = self._path(name)
        try:
            os.link(source, as_name, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise NotFound(f"The content {name[:12]} of this version is gone.") from None
        except OSError as error:
            if error.errno == errno.EMLINK:  # a file system takes only so many links to one file
                self._renew(source)
                os.link(source, as_name, dst_dir_fd=folder, follow_symlinks=False)
            else:  # or none
                self._copy(source, os.open(as_name, _NEW, 0o644, dir_fd=folder))

    def forget_others(self, needed: frozenset[str]) -> int:
        """Remove every object that is not among those; return how many bytes of disk that gives back."""
        freed_bytes = 0
        for path in self._directory.glob("??/*"):
            if path.name not in needed:
                with suppress(FileNotFoundError):
                    freed_bytes += path.stat().st_blocks * 512
                    path.unlink()
        return freed_bytes

    def take_back(self) -> None:
        """Remove what the commit that failed has added."""
        for name in self.added:
            self._path(name).unlink(missing_ok=True)

    def _keep(self, source: int, info: os.stat_result) -> str:
        suffix = "x" if info.st_mode & 0o111 else ""
        if info.st_size > CHUNK_BYTES:
            return self._keep_large(source, info.st_size, suffix)
        data = read_chunk(source, 0, info.st_size) if info.st_size else b""
        name = digest_of(data) + suffix
        if not self._path(name).exists():
            temporary, target = self._temporary()
            with os.fdopen(target, "wb") as file:
                file.write(data)
                os.fchmod(target, 0o555 if suffix else 0o444)
            self._add(temporary, name)
        return name

    def _keep_large(self, source: int, size_bytes: int, suffix: str) -> str:
        temporary, target = self._temporary()
        try:
            name = copy_file(source, target, size_bytes).digest + suffix
            os.fchmod(target, 0o555 if suffix else 0o444)
            if self._path(name).exists():
                temporary.unlink()
            else:
                self._add(temporary, name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(target)
        return name

    def _temporary(self) -> tuple[Path, int]:
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        path = self._directory / f".{secrets.token_hex(8)}"
        return path, os.open(path, _NEW, 0o644)

    def _add(self, temporary: Path, name: str) -> None:
        path = self._path(name)
        try:
            temporary.rename(path)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o755, exist_ok=True)
            temporary.rename(path)
        self.added.append(name)
        self.added_bytes += path.stat().st_blocks * 512

    def _renew(self, path: Path) -> None:
        """Put a copy in an object's place, which has no link to it yet; those of the old one stay."""
        temporary, target = self._temporary()
        self._copy(path, target)
        temporary.rename(path)

    def _copy(self, source: Path, target: int) -> None:
        try:
            with source.open("rb", buffering=0) as file:
                info = os.fstat(file.fileno())
                copy_file(file.fileno(), target, info.st_size)
                os.fchmod(target, info.st_mode & 0o777)
        finally:
            os.close(target)

    def _path(self, name: str) -> Path:
        return self._directory / name[:2] / name
