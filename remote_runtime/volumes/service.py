"""Volumes: create, list, read, write, remove. Slow and synchronous: call it from a thread."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Final

from kernel_bridge.errors import BadRequest, Conflict, TooLarge
from kernel_bridge.protocol.content import ContentMap
from kernel_bridge.protocol.resources import show_size
from kernel_bridge.protocol.scopes import OWNER
from kernel_bridge.sparse import content_map
from remote_runtime.clock import Clock, SystemClock
from remote_runtime.store.named import VolumeRows, check_name
from remote_runtime.store.rows import VolumeRow
from remote_runtime.trash import empty_bin, throw_away
from remote_runtime.volumes.books import Books, Usage, free_bytes, measure
from remote_runtime.volumes.copies import Copier
from remote_runtime.volumes.entries import Entry, below, entry_of, look
from remote_runtime.volumes.manifests import Version
from remote_runtime.volumes.packs import PackSink, pack_of
from remote_runtime.volumes.paths import file_parts_of, open_regular, parts_of, walking
from remote_runtime.volumes.removing import remove
from remote_runtime.volumes.rooms import Room
from remote_runtime.volumes.snapshots import Snapshots
from remote_runtime.volumes.upkeep import record_sizes
from remote_runtime.volumes.uploads import ChunkSink, UploadRequest, Uploads, UploadState
from remote_runtime.volumes.writing import FileWriter

ENTRIES_LIMIT: Final = 250_000  # a listing that would be longer is refused: list a directory of it instead
MESSAGE_LIMIT_CHARS: Final = 500
VERSIONS_LIMIT: Final = 1000  # of one volume: then an old one has to go first


class Volumes:
    """The volumes below one directory, as one owner sees them: `of` returns them as another does.

    A volume's files appear in containers, whose users may put anything there.
    """

    def __init__(self, rows: VolumeRows, directory: Path, clock: Clock | None = None) -> None:
        self._rows = rows
        self._clock = clock or SystemClock()
        self._directory = directory
        # No volume's name begins with a dot.
        self._incoming = directory / ".incoming"
        self._beside = directory / ".history"
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._beside.mkdir(mode=0o700, exist_ok=True)
        self._uploads = Uploads(directory / ".uploads")
        empty_bin(self._incoming)  # uploads and removals that an earlier process did not finish
        self._uploads.tidy(self._clock.now())

    @property
    def owner(self) -> str:
        """Return whose volumes these are."""
        return self._rows.owner

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

    def rename(self, name: str, new_name: str) -> VolumeRow:
        """Give a volume another name; raises NotFound, or Conflict when that is taken."""
        self._rows.get(check_name(name, "volume"))
        self._rows.rename(name, new_name)
        self._uploads.forget_all(self._folder(name))
        for above in (self._directory, self._beside):
            with suppress(FileNotFoundError):
                (above / self._folder(name)).rename(above / self._folder(new_name))
        return self._rows.get(new_name)

    def measure(self, name: str) -> int:
        """Return how many bytes the volume's files hold now, and remember it."""
        return self.usage(name).size_bytes

    def usage(self, name: str) -> Usage:
        """Return what a volume takes now and how that grew, and remember it; raises NotFound."""
        row, now_s = self._rows.get(name), self._clock.now()
        found, books = measure(self.directory(name)), self._books(name)
        history_bytes = self._snapshots(name).disk_bytes()
        taken_bytes = found.disk_bytes + history_bytes
        self._rows.set_size(name, found.size_bytes)
        books.record(now_s, taken_bytes)
        return Usage(
            files=found.files,
            size_bytes=found.size_bytes,
            disk_bytes=found.disk_bytes,
            history_bytes=history_bytes,
            growth_week_bytes=books.growth_week_bytes(now_s, taken_bytes, row.created_at_s),
            quota_bytes=books.quota_bytes(),
            free_bytes=free_bytes(self._directory),
        )

    def look_after(self) -> None:
        """Write down how large every owner's volumes are, once a day, and let go of uploads nobody goes on with."""
        self._uploads.tidy(self._clock.now())
        record_sizes(self._directory, self._beside, self._clock)

    def set_quota(self, name: str, quota_bytes: int) -> None:
        """Limit what a volume may take of the disk, with its versions; 0 is no limit. Raises NotFound."""
        if not 0 <= quota_bytes < 1 << 60:
            raise BadRequest("A quota is a number of bytes from 0 (none) on.")
        self._rows.get(check_name(name, "volume"))
        self._books(name).set_quota(quota_bytes)

    def delete(self, name: str) -> None:
        """Remove a volume, its versions and all its files; raises NotFound."""
        self._rows.get(check_name(name, "volume"))
        self._uploads.forget_all(self._folder(name))
        # Files before row: a crash in between leaves an empty volume, never a new one with the old one's files.
        for above in (self._beside, self._directory):
            with walking(above) as walk, suppress(FileNotFoundError):
                throw_away(walk.descriptor, self._folder(name), self._incoming)
        self._rows.delete(name)

    def directory(self, name: str, version: int = 0) -> Path:
        """Return where the volume, or a version of it, is on this host; raises NotFound."""
        self._rows.get(check_name(name, "volume"))
        return self._snapshots(name).show(version) if version else self._directory / self._folder(name)

    def check_mount(self, name: str, sub_path: str, version: int, *, read_only: bool) -> None:
        """See that this can be mounted, and make the folder where it may be written; raises NotFound or BadRequest."""
        self._rows.get(check_name(name, "volume"))
        if version:
            self._snapshots(name).get(version)
        if sub_path:
            with walking(self.directory(name, version)) as walk:
                walk.enter_plain(parts_of(sub_path), make=not (version or read_only))

    def entries(self, name: str, path: str = "", *, recursive: bool = False, version: int = 0) -> tuple[Entry, ...]:
        """List a directory in order of path, or one file; raises NotFound, or TooLarge above ENTRIES_LIMIT."""
        parts = parts_of(path)
        found: list[Entry] = []
        with walking(self.directory(name, version)) as walk:
            if (last := walk.find(parts)) is not None:
                return (entry_of("/".join(parts), look(walk, last)),)
            prefix = "".join(f"{part}/" for part in parts)
            for each in below(walk.descriptor, prefix, deep=recursive):
                if len(found) == ENTRIES_LIMIT:
                    raise TooLarge(f"More than {ENTRIES_LIMIT} entries: list one of its directories.")
                found.append(entry_of(each.path, each.info))
        return tuple(sorted(found, key=lambda entry: entry.path))

    def open(self, name: str, path: str, version: int = 0) -> tuple[IO[bytes], int]:
        """Open a file for reading; return it and its size. Raises NotFound, or Conflict for what is not a file."""
        with walking(self.directory(name, version)) as walk:
            last = walk.find(parts_of(path))
            if last is None:
                raise Conflict(f"{path[:80]!r} is a directory.")
            file = os.fdopen(open_regular(walk, last), "rb", buffering=0)
        return file, os.fstat(file.fileno()).st_size

    def content(self, name: str, path: str, version: int = 0) -> ContentMap:
        """Return what a file holds, as digests of its chunks; raises as `open` does."""
        file, size_bytes = self.open(name, path, version)
        with file:
            return content_map(file.fileno(), size_bytes)

    def writer(self, name: str, path: str, *, digest: str = "") -> FileWriter:
        """Begin to write a file; directories on the way are made at `commit`. Raises NotFound, BadRequest, TooLarge."""
        return self._write(self.directory(name), self._room(name, ""), path, digest)

    def packed(self, name: str, path: str, version: int = 0) -> Iterator[bytes]:
        """Return a pack of the small files below a directory; raises NotFound."""
        root, parts = self.directory(name, version), parts_of(path)
        with walking(root) as walk:
            walk.enter(parts)
        return pack_of(root, parts)

    def pack(self, name: str) -> PackSink:
        """Return what takes many small files; raises NotFound."""
        return PackSink(partial(self._write, self.directory(name), self._room(name, "")))

    def begin_upload(self, name: str, asked: UploadRequest) -> UploadState:
        """Make room for a file that comes in chunks, or go on with one; raises NotFound, BadRequest or TooLarge."""
        parts = file_parts_of(asked.path)
        self._rows.get(check_name(name, "volume"))
        room = self._room(name, "")
        if not room.holds(min(asked.size_bytes, asked.disk_bytes)):
            raise TooLarge(room.why)
        return self._uploads.begin(self._folder(name), replace(asked, path="/".join(parts)))

    def chunk(self, name: str, upload_id: str, index: int, digest: str) -> ChunkSink:
        """Return where a chunk's bytes go; raises NotFound or BadRequest."""
        return self._uploads.take(self._folder(check_name(name, "volume")), upload_id, index, digest)

    def finish_upload(self, name: str, upload_id: str, digest: str) -> Entry:
        """Put an uploaded file in its place; raises NotFound, or Conflict when it is not what was sent."""
        room = self._room(name, "")
        self._uploads.check_room(self._folder(name), upload_id, room)
        return self._uploads.finish(self._folder(name), upload_id, digest, self.directory(name))

    def drop_upload(self, name: str, upload_id: str) -> None:
        """Give an upload up; raises NotFound."""
        self._uploads.forget(self._folder(check_name(name, "volume")), upload_id)

    def copy(self, name: str, sources: Sequence[str], destination: str, version: int = 0) -> int:
        """Copy within a volume, or out of a version of it; return how many files. Raises NotFound or Conflict."""
        room = self._room(name, "")
        copier = Copier(self.directory(name, version), self.directory(name), self._incoming, room)
        return copier.copy(sources, destination)

    def make_directory(self, name: str, path: str) -> None:
        """Make a directory and those on the way; one that is there is success."""
        with walking(self.directory(name)) as walk:
            walk.enter(parts_of(path), make=True)

    def remove(self, name: str, path: str, *, recursive: bool = False) -> None:
        """Remove a file, a link (never what it leads to) or a directory, a full one only if asked; raises NotFound."""
        parts = parts_of(path)
        if not parts:
            raise BadRequest("The volume's root stays: `cellburst volume rm NAME --all` removes the whole volume.")
        with walking(self.directory(name)) as walk:
            walk.enter(parts[:-1])
            remove(walk, parts[-1], self._incoming, recursive=recursive)

    def commit(self, name: str, message: str = "") -> Version:
        """Keep what the volume holds now as a version; raises NotFound, Conflict or TooLarge, then keeping nothing."""
        if len(message) > MESSAGE_LIMIT_CHARS:
            raise BadRequest(f"A commit's message may have {MESSAGE_LIMIT_CHARS} characters.")
        snapshots = self._snapshots(name)
        if len(snapshots.log()) >= VERSIONS_LIMIT:
            raise TooLarge(f"A volume may have {VERSIONS_LIMIT} versions: remove one, `cellburst volume rm {name}@1`.")
        return snapshots.commit(self.directory(name), message, self._room(name, " Nothing was committed."))

    def log(self, name: str) -> tuple[Version, ...]:
        """Return a volume's versions, newest first; raises NotFound."""
        self._rows.get(check_name(name, "volume"))
        return self._snapshots(name).log()

    def forget(self, name: str, version: int) -> int:
        """Forget a version; return how many bytes of disk that gives back. Raises NotFound."""
        self._rows.get(check_name(name, "volume"))
        return self._snapshots(name).forget(version)

    def _write(self, root: Path, room: Room, path: str, digest: str = "") -> FileWriter:
        writer = FileWriter(root, file_parts_of(path), self._incoming, digest=digest)
        if room.free_bytes is not None and room.free_bytes < writer.limit_bytes:
            writer.limit_bytes, writer.why_limited = room.free_bytes, room.why
        return writer

    def _room(self, name: str, then: str) -> Room:
        """Return how much more the volume may take; it is measured anew where there is a quota."""
        quota_bytes = self._books(name).quota_bytes()
        if not quota_bytes:
            return Room()
        taken_bytes = measure(self.directory(name)).disk_bytes + self._snapshots(name).disk_bytes()
        why = (
            f"Volume {name!r} takes {show_size(taken_bytes)} of its quota of {show_size(quota_bytes)}, and this wants "
            f"more.{then} Remove files or versions, or raise it: `cellburst volume quota {name} SIZE`."
        )
        return Room(quota_bytes - taken_bytes, why)

    def _snapshots(self, name: str) -> Snapshots:
        return Snapshots(self._beside / self._folder(name), self._clock)

    def _books(self, name: str) -> Books:
        return Books(self._beside / self._folder(name))

    def _folder(self, name: str) -> str:
        """Name the folder of a volume: neither an owner nor a volume has an `@` in its name."""
        return name if self._rows.owner == OWNER else f"{self._rows.owner}@{name}"
