"""The session's working directory: files the notebook has arrive when they are read, files a cell writes go home.

An audit hook sees every `open` of Python code. Readers written in C open files without it; for those the notebook sends
ahead what the cell's text names.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import xxhash

from kernel_bridge.codecs.wire_units import Sink
from kernel_bridge.protocol.cells import FileRef
from kernel_bridge.protocol.messages import Buffer

Fetch = Callable[[str], "tuple[FileRef, Buffer] | None"]

_SKIPPED: Final = frozenset({"__pycache__", ".ipynb_checkpoints", ".git"})
_MAX_ENTRIES: Final = 20_000  # beyond it, files are only found by name (%gpu_get)
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT

Stamp = tuple[int, int, int]  # mtime in ns, size in bytes, inode


class WorkDirectory:
    """The directory a session's cells run in, as the container sees it."""

    def __init__(self, path: Path, fetch: Fetch) -> None:
        self.path = path
        self._fetch = fetch
        self._known: dict[str, Stamp] = dict(self._scan())
        self._absent: set[str] = set()
        self._busy = threading.local()

    def watch(self) -> None:
        """Install the audit hook; it stays for the life of the process."""
        sys.addaudithook(self._audit)

    def begin(self) -> None:
        """Get ready for a cell: the notebook may have files now that it lacked.

        What was written since the last cell, by a process it left behind, counts as this one's.
        """
        self._absent.clear()

    def deliver(self, ref: FileRef, data: Buffer) -> None:
        """Write a file of the notebook's here; it does not count as written by the cell."""
        target = self.path / ref.path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.cellburst")
        temporary.write_bytes(data)
        temporary.replace(target)
        self._known[ref.path] = _stamp(target.stat())

    def changes(self, sink: Sink, limit_bytes: int) -> tuple[FileRef, ...]:
        """Return what the cell wrote or deleted below this directory; files over the limit without their data."""
        now = dict(self._scan())
        changed = [path for path, stamp in now.items() if self._known.get(path) != stamp]
        gone = [FileRef(path=path, size_bytes=0, deleted=True) for path in self._known if path not in now]
        written = [file for path in changed if (file := self._read_if_there(path, sink, limit_bytes)) is not None]
        self._known = now
        return (*written, *gone)

    def read(self, path: str, sink: Sink, limit_bytes: int) -> FileRef:
        """Send one file on its way; raises FileNotFoundError, or PermissionError for a path outside."""
        target = self._inside(path)
        if target is None:
            raise PermissionError(f"{path} is outside the notebook's folder")
        if target.exists() and not target.is_file():  # to open a pipe would wait for whoever writes to it
            raise PermissionError(f"{path} is not a file")
        with target.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > limit_bytes:
                return FileRef(path=path, size_bytes=size_bytes)
            data: Any = mmap.mmap(file.fileno(), size_bytes, access=mmap.ACCESS_READ) if size_bytes else b""
        digest = xxhash.xxh3_128_hexdigest(data)
        return FileRef(path=path, size_bytes=size_bytes, digest=digest, data=sink.put(memoryview(data), digest))

    def _read_if_there(self, path: str, sink: Sink, limit_bytes: int) -> FileRef | None:
        try:
            return self.read(path, sink, limit_bytes)
        except OSError:  # a process that the cell left behind removed it meanwhile, or nobody may read it
            return None

    def _inside(self, path: str) -> Path | None:
        target = (self.path / path).resolve()
        return target if target.is_relative_to(self.path.resolve()) else None

    def _scan(self) -> Iterator[tuple[str, Stamp]]:
        pending, seen, root = [""], 0, f"{self.path}/"
        while pending:
            folder = pending.pop()
            for entry in _entries(root + folder):
                seen += 1
                if seen > _MAX_ENTRIES:
                    return
                name = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _SKIPPED:
                        pending.append(f"{name}/")
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        yield name, _stamp(entry.stat(follow_symlinks=False))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or getattr(self._busy, "here", False):
            return
        path, _mode, flags = arguments
        if not isinstance(path, (str, bytes, os.PathLike)) or flags & _WRITING:
            return
        self._busy.here = True
        try:
            self._bring(os.fsdecode(path))
        finally:
            self._busy.here = False

    def _bring(self, path: str) -> None:
        full = os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow links and touch the disk
        root = str(self.path)
        if not full.startswith(root + os.sep) or os.path.lexists(full):
            return
        relative = full[len(root) + 1 :].replace(os.sep, "/")
        if relative in self._absent:
            return
        answer = self._fetch(relative)
        if answer is None:
            self._absent.add(relative)
        else:
            self.deliver(*answer)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # removed, or closed to us, meanwhile
        return []


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino
