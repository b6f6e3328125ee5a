"""Volumes: create, list, read, write, remove. Slow and synchronous: call it from a thread."""

from __future__ import annotations

import copy
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from kernel_bridge.errors import BadRequest, Conflict, NotFound, TooLarge
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.scopes import OWNER
from remote_runtime.store.named import VolumeRows, check_name
from remote_runtime.store.rows import VolumeRow
from remote_runtime.trash import empty_bin, throw_away
from remote_runtime.volumes.paths import DEPTH_LIMIT, Walk, open_regular, parts_of, walking

FILE_LIMIT_BYTES: Final = 1 << 40
ENTRIES_LIMIT: Final = 100_000  # a listing that would be longer is refused: list a directory of it instead

Kind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a volume. A link is told as a link; what it leads to is not looked at."""

    path: str  # from the volume's root, with forward slashes, without one in front
    kind: Kind
    size_bytes: int
    modified_at_s: float


class Volumes:
    """The volumes below one directory, as one owner sees them: `of` returns them as another does.

    A volume's files appear in containers, whose users may put anything there.
    """

    def __init__(self, rows: VolumeRows, directory: Path) -> None:
        self._rows = rows
        self._directory = directory
        self._incoming = directory / ".incoming"  # no volume's name begins with a dot
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        empty_bin(self._incoming)  # uploads and removals that an earlier process did not finish

    def of(self, owner: str) -> Volumes:
        """Return the volumes of another owner, who may use the same names."""
        other = copy.copy(self)
        other._rows = self._rows.of(owner)
        return other

    def create(self, name: str) -> VolumeRow:
        """Make an empty volume; raises Conflict when there is one of that name."""
        row = self._rows.create(name)
        (self._directory / self._folder(name)).mkdir(mode=0o755, exist_ok=True)
        return row

    def ensure(self, name: str) -> tuple[VolumeRow, bool]:
        """Return the volume of that name, making it if need be; the second says whether it is new."""
        try:
            return self.create(name), True
        except Conflict:
            # After a crash between row and directory.
            (self._directory / self._folder(name)).mkdir(mode=0o755, exist_ok=True)
            return self._rows.get(name), False

    def get(self, name: str) -> VolumeRow:
        """Return one volume; raises NotFound."""
        return self._rows.get(name)

    def list(self) -> tuple[VolumeRow, ...]:
        """Return the volumes by name."""
        return self._rows.list()

    def measure(self, name: str) -> int:
        """Return how many bytes the volume's files hold now, and remember it."""
        with walking(self.directory(name)) as walk:
            size_bytes = sum(info.st_size for _, info in _below(walk.descriptor, "", deep=True) if _is_file(info))
        self._rows.set_size(name, size_bytes)
        return size_bytes

    def delete(self, name: str) -> None:
        """Remove a volume and all its files; raises NotFound."""
        self._rows.get(check_name(name, "volume"))
        # Files before row: a crash in between leaves an empty volume, never a new one with the old one's files.
        with walking(self._directory) as walk, suppress(FileNotFoundError):
            throw_away(walk.descriptor, self._folder(name), self._incoming)
        self._rows.delete(name)

    def directory(self, name: str) -> Path:
        """Return where the volume is on this host, for mounting; raises NotFound."""
        self._rows.get(check_name(name, "volume"))
        return self._directory / self._folder(name)

    def entries(self, name: str, path: str = "", *, recursive: bool = False) -> tuple[Entry, ...]:
        """List a directory in order of path, or one file; raises NotFound, or TooLarge above ENTRIES_LIMIT."""
        parts = parts_of(path)
        found: list[Entry] = []
        with walking(self.directory(name)) as walk:
            if (last := walk.find(parts)) is not None:
                return (_entry("/".join(parts), _look(walk, last)),)
            prefix = "".join(f"{part}/" for part in parts)
            for entry_path, info in _below(walk.descriptor, prefix, deep=recursive):
                if len(found) == ENTRIES_LIMIT:
                    raise TooLarge(f"More than {ENTRIES_LIMIT} entries: list one of its directories.")
                found.append(_entry(entry_path, info))
        return tuple(sorted(found, key=lambda entry: entry.path))

    def open(self, name: str, path: str) -> tuple[IO[bytes], int]:
        """Open a file for reading; return it and its size. Raises NotFound, or Conflict for what is not a file."""
        with walking(self.directory(name)) as walk:
            last = walk.find(parts_of(path))
            if last is None:
                raise Conflict(f"{path[:80]!r} is a directory.")
            file = os.fdopen(open_regular(walk, last), "rb", buffering=0)
        return file, os.fstat(file.fileno()).st_size

    def writer(self, name: str, path: str, limit_bytes: int = FILE_LIMIT_BYTES) -> FileWriter:
        """Begin to write a file; directories on the way are made at `commit`. Raises NotFound or BadRequest."""
        parts = parts_of(path)
        if not parts:
            raise BadRequest("A file in a volume wants a name.")
        return FileWriter(self.directory(name), parts, self._incoming, limit_bytes)

    def make_directory(self, name: str, path: str) -> None:
        """Make a directory and those on the way; one that is there is success."""
        with walking(self.directory(name)) as walk:
            walk.enter(parts_of(path), make=True)

    def remove(self, name: str, path: str, *, recursive: bool = False) -> None:
        """Remove a file, a link (never what it leads to) or a directory, a full one only if asked; raises NotFound."""
        parts = parts_of(path)
        if not parts:
            raise BadRequest("The volume's root stays: `cellburst volume rm NAME` removes the whole volume.")
        with walking(self.directory(name)) as walk:
            walk.enter(parts[:-1])
            self._remove(walk, parts[-1], recursive=recursive)

    def _folder(self, name: str) -> str:
        """Name the folder of a volume: neither an owner nor a volume has an `@` in its name."""
        return name if self._rows.owner == OWNER else f"{self._rows.owner}@{name}"

    def _remove(self, walk: Walk, name: str, *, recursive: bool) -> None:
        if not stat.S_ISDIR(_look(walk, name).st_mode):
            os.unlink(name, dir_fd=walk.descriptor)
        elif recursive:
            throw_away(walk.descriptor, name, self._incoming)
        else:
            try:
                os.rmdir(name, dir_fd=walk.descriptor)
            except OSError:
                raise Conflict(f"{name!r} is not empty: remove it with `--recursive`.") from None


class FileWriter:
    """A file on its way into a volume: nobody sees it before `commit`, and then all of it."""

    def __init__(self, root: Path, parts: tuple[str, ...], incoming: Path, limit_bytes: int) -> None:
        self._root = root
        self._parts = parts
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._temporary = incoming / secrets.token_hex(16)
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._file = os.fdopen(descriptor, "wb", buffering=1 << 20)

    def write(self, *chunks: Buffer) -> None:
        """Take the next bytes; raises TooLarge as soon as the limit is passed."""
        self._size_bytes += sum(map(len, chunks))
        if self._size_bytes > self._limit_bytes:
            raise TooLarge(f"A file in a volume may have {self._limit_bytes} bytes; this one has more.")
        self._file.writelines(chunks)

    def commit(self) -> Entry:
        """Put the file in its place, over what was there; raises Conflict where a directory is."""
        self._file.close()
        with walking(self._root) as walk:
            walk.enter(self._parts[:-1], make=True)
            try:
                # A rename replaces a link itself, so the last component needs no resolving.
                os.rename(self._temporary, self._parts[-1], dst_dir_fd=walk.descriptor)
            except (IsADirectoryError, NotADirectoryError):
                raise Conflict(f"{self._parts[-1]!r} is a directory.") from None
            return _entry("/".join(self._parts), _look(walk, self._parts[-1]))

    def discard(self) -> None:
        """Give up. After `commit` this does nothing."""
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def _look(walk: Walk, name: str) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=walk.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        raise NotFound(f"There is no {name!r} in this volume.") from None


def _below(descriptor: int, prefix: str, *, deep: bool, depth: int = 0) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in an open directory, with its path; follows no link and skips what vanishes meanwhile."""
    for name in os.listdir(descriptor):
        with suppress(FileNotFoundError):
            info = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            yield prefix + name, info
            if deep and stat.S_ISDIR(info.st_mode) and depth < DEPTH_LIMIT:
                yield from _inside(descriptor, name, prefix, depth + 1)


def _inside(descriptor: int, name: str, prefix: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
    except OSError:
        return  # gone, a link by now, or closed to us: it was listed, that is all that can be said
    try:
        yield from _below(inner, f"{prefix}{name}/", deep=True, depth=depth)
    finally:
        os.close(inner)


def _entry(path: str, info: os.stat_result) -> Entry:
    readable = os.fsencode(path).decode("utf-8", "replace")  # names are bytes, and need not be text
    return Entry(path=readable, kind=_kind(info), size_bytes=info.st_size, modified_at_s=info.st_mtime)


def _kind(info: os.stat_result) -> Kind:
    if stat.S_ISDIR(info.st_mode):
        return "directory"
    if stat.S_ISLNK(info.st_mode):
        return "link"
    return "file" if _is_file(info) else "other"


def _is_file(info: os.stat_result) -> bool:
    return stat.S_ISREG(info.st_mode)
