"""The session's working directory: what the notebook sent is put here, what a cell leaves here goes home."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import xxhash

from kernel_bridge.codecs.wire_units import Sink
from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.cells import CellRequest, FileRef
from kernel_bridge.protocol.messages import Buffer
from remote_runtime.agent.folder_scan import TEMPORARY, FolderScan, Found, Stamp, stamp
from remote_runtime.agent.notebook_folder import NotebookFolder

Fetch = Callable[[str], "tuple[FileRef, Buffer] | None"]
GetData = Callable[[FileRef], Buffer]

_MAX_ENTRIES: Final = 20_000  # beyond it, files are only found by name (%gpu_get)
_ALL_HOME_BYTES: Final = 1 << 30  # of one cell
_PLAIN: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no link out of the folder, no wait for a pipe


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when both sides last agreed on it, or when it was last told of."""

    stamp: Stamp
    digest: str  # empty: its content is only here


@dataclass(slots=True)
class _Leaving:
    """What goes home, as it is collected."""

    files: list[FileRef] = field(default_factory=list)
    size_bytes: int = 0
    notices: list[str] = field(default_factory=list)


class WorkDirectory:
    """The directory a session's cells run in, as the container sees it."""

    def __init__(self, view: NotebookFolder, fetch: Fetch) -> None:
        self.path = view.root
        self._view = view
        self._placeholders = view.placeholders
        self._fetch = fetch
        self._scan = FolderScan(str(self.path), _MAX_ENTRIES)
        self._placeholders.clear_leftovers()
        found = self._scan.look()
        self._known = {path: Known(mark, "") for path, mark in found.files.items()}
        self._folders, self._links = dict(found.folders), dict(found.links)

    def begin(self, request: CellRequest, header: dict[str, Any], get: GetData) -> None:
        """Take what came with a cell: files, and word of what is out of date.

        What was written since the last cell, by a process it left behind, counts as this one's.
        """
        self._placeholders.begin(header, same_host=request.shared_arena)
        self._take_filled()
        for ref in request.files:
            if ref.data is not None:
                self.deliver(ref, get(ref))
            else:
                self._forget(ref)
        self._view.begin(request.folders)

    def deliver(self, ref: FileRef, data: Buffer) -> None:
        """Write a file of the notebook's here; it does not count as written by the cell."""
        target = self._inside(ref.path)
        if target is None:
            return
        self._placeholders.forget([ref.path])
        self._set_aside(ref.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{TEMPORARY}{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), (ref.mode or 0o644) | 0o200)
        if ref.mtime_ns:
            os.utime(temporary, ns=(ref.mtime_ns, ref.mtime_ns))
        temporary.replace(target)
        self._known[ref.path] = Known(stamp(target.stat()), ref.digest)

    def bring(self, path: str) -> None:
        """Fetch the content of a placeholder now; what cannot be had stays as it is."""
        answer = self._fetch(path)
        if answer is not None:
            self.deliver(*answer)

    def changes(self, sink: Sink, limit_bytes: int) -> tuple[tuple[FileRef, ...], list[str]]:
        """Return what the cell wrote or deleted below this directory, and lines to show.

        Files over the limit are named without their data.
        """
        leaving = _Leaving()
        self._take_filled()
        if self._view.programs_ran:
            self._bring_changed()
        leaving.notices += [
            f"{path} could not be read: {why}." for path, why in self._placeholders.take_refused().items()
        ]
        found = self._scan.look(self._placeholders)
        self._fill_renamed(found)
        for path in [path for path, mark in found.files.items() if self._differs(path, mark)]:
            self._send(path, sink, limit_bytes, leaving)
        self._tell_shape(found, leaving)
        if found.cut:
            leaving.notices.append(
                f"more than {_MAX_ENTRIES} files: some stayed remote, `%gpu_get FOLDER` brings them."
            )
        else:
            self._tell_gone(found, leaving)
        return tuple(leaving.files), leaving.notices

    def list_files(self, path: str) -> list[FileRef]:
        """Return a file, or those below a folder, without data; raises FileNotFoundError, or PermissionError."""
        target = self._checked(path)
        if target.is_dir():
            below = FolderScan(str(target), 1 << 62).look()
            prefix = "" if target == self._real_root() else f"{target.relative_to(self._real_root()).as_posix()}/"
            return [_described(f"{prefix}{name}", mark) for name, mark in sorted(below.files.items())]
        status = target.lstat()
        if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for whoever writes to it
            raise PermissionError(f"{path} is not a file")
        return [_described(target.relative_to(self._real_root()).as_posix(), stamp(status))]

    def read_piece(self, path: str, offset: int, size_bytes: int) -> bytes:
        """Return a part of a file; raises OSError."""
        descriptor = os.open(self._checked(path), os.O_RDONLY | _PLAIN)
        try:
            return os.pread(descriptor, size_bytes, offset)
        finally:
            os.close(descriptor)

    def _take_filled(self) -> None:
        for path, (mark, digest) in self._placeholders.take_filled().items():
            self._known[path] = Known(mark, digest)
            self._scan.note_opened(path)

    def _forget(self, ref: FileRef) -> None:
        """Take away what is out of date, unless a cell changed it: then both are kept."""
        self._placeholders.forget([ref.path])
        target = self._inside(ref.path)
        if target is None or not target.is_file():
            return
        known = self._known.get(ref.path)
        with contextlib.suppress(OSError):
            agreed = known is not None and known.digest and known.stamp == stamp(target.lstat())
            if agreed or _digest_of(target) == ref.digest:
                target.unlink()
                self._known.pop(ref.path, None)

    def _set_aside(self, path: str) -> None:
        """Keep a file under another name that only this side has, before another takes its place."""
        target, known = self.path / path, self._known.get(path)
        with contextlib.suppress(OSError):
            if target.is_file() and not (known is not None and known.digest and known.stamp == stamp(target.lstat())):
                target.rename(target.with_name(f"{target.stem}__remote{target.suffix}"))

    def _differs(self, path: str, mark: Stamp) -> bool:
        known = self._known.get(path)
        return known is None or known.stamp != mark

    def _bring_changed(self) -> None:
        """Bring the content of placeholders that a program gave other permissions or another time."""
        for path in self._placeholders.changed():
            with contextlib.suppress(OSError):
                status = (self.path / path).lstat()
                self.bring(path)
                (self.path / path).chmod(stat.S_IMODE(status.st_mode))
                os.utime(self.path / path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _fill_renamed(self, found: Found) -> None:
        """Bring the content of placeholders that were given another name."""
        for path, mark in found.files.items():
            original = self._placeholders.original_of(mark[2])
            if original and original != path:
                answer = self._fetch(original)
                if answer is not None:
                    ref, data = answer
                    self._placeholders.lose(original)
                    self._known.setdefault(original, Known(mark, ref.digest))
                    (self.path / path).unlink()
                    (self.path / path).write_bytes(data)
                    found.files[path] = stamp((self.path / path).lstat())

    def _send(self, path: str, sink: Sink, limit_bytes: int, leaving: _Leaving) -> None:
        """Put one file on its way, if it is still there and may be read."""
        try:
            with open(os.open(self.path / path, os.O_RDONLY | _PLAIN), "rb") as file:  # noqa: PTH123 - a descriptor
                mark = stamp(os.fstat(file.fileno()))
                size_bytes = mark[1]
                if size_bytes > limit_bytes or leaving.size_bytes + size_bytes > _ALL_HOME_BYTES:
                    self._known[path] = Known(mark, "")
                    leaving.files.append(_described(path, mark))
                    return
                data = file.read(size_bytes)
        except OSError:
            return
        digest, known = xxhash.xxh3_128_hexdigest(data), self._known.get(path)
        ref = _described(path, mark, digest)
        if known is None or known.digest != digest:
            try:
                ref = _described(path, mark, digest, sink.put(data, digest))
            except (CellburstError, OSError) as error:
                leaving.notices.append(f"{path} could not be sent: {error}")
                return
            leaving.size_bytes += size_bytes
        self._known[path] = Known(mark, digest)
        leaving.files.append(ref)

    def _tell_shape(self, found: Found, leaving: _Leaving) -> None:
        """Say which folders and links are new, or changed."""
        for path in self._view.folders:
            self._folders.setdefault(path, found.folders.get(path, 0))
        self._links |= self._view.links
        for path, mode in found.folders.items():
            if self._folders.get(path) != mode:
                leaving.files.append(FileRef(path=path, size_bytes=0, kind="folder", mode=mode))
        for path, target in found.links.items():
            if self._links.get(path) != target:
                leaving.files.append(FileRef(path=path, size_bytes=0, kind="link", target=target))

    def _tell_gone(self, found: Found, leaving: _Leaving) -> None:
        gone = [path for path in self._known if path not in found.files and path not in self._placeholders]
        lost = self._placeholders.lost(found.quiet)
        for path in [*gone, *lost]:
            self._known.pop(path, None)
            self._placeholders.lose(path)
            leaving.files.append(FileRef(path=path, size_bytes=0, deleted=True))
        leaving.files += _gone(self._links, found.links, "link")
        leaving.files += _gone(self._folders, found.folders, "folder")
        self._folders, self._links = dict(found.folders), dict(found.links)
        self._view.folders.clear()
        self._view.links.clear()

    def _inside(self, path: str) -> Path | None:
        target = (self.path / path).resolve()
        return target if target.is_relative_to(self._real_root()) else None

    def _checked(self, path: str) -> Path:
        target = self._inside(path)
        if target is None:
            raise PermissionError(f"{path} is outside the notebook's folder")
        if not target.exists():
            raise FileNotFoundError(f"{path} does not exist in the session's folder")
        return target

    def _real_root(self) -> Path:
        return self.path.resolve()


def _described(path: str, mark: Stamp, digest: str = "", data: object = None) -> FileRef:
    mtime_ns, size_bytes, _inode, mode = mark
    return FileRef(path=path, size_bytes=size_bytes, digest=digest, data=data, mode=mode, mtime_ns=mtime_ns)  # type: ignore[arg-type]


def _gone(before: Iterable[str], now: Iterable[str], kind: str) -> list[FileRef]:
    """Name what is no more, what lies deepest first."""
    gone = sorted(set(before) - set(now), reverse=True)
    return [FileRef(path=path, size_bytes=0, kind=kind, deleted=True) for path in gone]  # type: ignore[arg-type]


def _digest_of(path: Path) -> str:
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return hasher.hexdigest()
