"""Uploads that go on after a cut: chunks arrive in any order, and the file appears when all of it was checked.

An upload is a folder with the bytes so far and a journal of the chunks that are whole. It is named by a digest of who
sends what where, so whoever sends the same file again finds what arrived. After a restart of the machine it begins
anew: the journal may then know of bytes that never reached the disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadRequest, Conflict, NotFound, TooLarge
from kernel_bridge.protocol.content import (
    FILE_LIMIT_BYTES,
    Chunk,
    ContentMap,
    chunk_digest,
    chunk_size,
    map_of,
)
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.sparse import write_chunk
from remote_runtime.volumes.entries import Entry
from remote_runtime.volumes.rooms import Room
from remote_runtime.volumes.writing import put_in_place

KEPT_S: Final = 7 * 86400.0  # an upload that nobody goes on with
_DATA, _JOURNAL, _SAID = "data", "journal", "said"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """A file that is going to be sent: where to, how large; `key` names it among the sender's files."""

    path: str
    size_bytes: int
    key: str
    disk_bytes: int = 1 << 62  # what it takes where it is sent from, which has holes perhaps
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """An upload and the chunks of it that are here."""

    id: str
    present: tuple[int, ...]


class Uploads:
    """The uploads of one runtime, each a folder below a directory on the volumes' file system."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, folder: str, asked: UploadRequest) -> UploadState:
        """Make room for a file, or find what arrived of it earlier. Raises BadRequest or TooLarge."""
        if not 0 <= asked.size_bytes <= FILE_LIMIT_BYTES:
            raise TooLarge(f"A file in a volume may have {FILE_LIMIT_BYTES >> 40} TiB.")
        said = "\n".join((folder, asked.path, str(asked.size_bytes), asked.key, _boot_id()))
        upload_id = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        place = self._directory / upload_id
        place.mkdir(mode=0o700, exist_ok=True)
        with _locked(place):
            descriptor = os.open(place / _DATA, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                os.ftruncate(descriptor, asked.size_bytes)
                os.fchmod(descriptor, 0o755 if asked.executable else 0o644)
            finally:
                os.close(descriptor)
            (place / _SAID).write_text(f"{folder}\n{asked.size_bytes}\n{asked.path}")
            return UploadState(id=upload_id, present=tuple(sorted(_journal(place))))

    def take(self, folder: str, upload_id: str, index: int, digest: str) -> ChunkSink:
        """Return where the bytes of one chunk go; raises NotFound or BadRequest."""
        place, size_bytes, _ = self._find(folder, upload_id)
        return ChunkSink(place, index, chunk_size(size_bytes, index), digest)

    def check_room(self, folder: str, upload_id: str, room: Room) -> None:
        """Give an upload up that takes more than there may be; raises TooLarge or NotFound."""
        place, _, _ = self._find(folder, upload_id)
        if not room.holds((place / _DATA).stat().st_blocks * 512):
            shutil.rmtree(place, ignore_errors=True)
            raise TooLarge(room.why)

    def finish(self, folder: str, upload_id: str, digest: str, root: Path) -> Entry:
        """Put the file in its place if it is what was sent; raises Conflict when it is not, and forgets it."""
        place, size_bytes, path = self._find(folder, upload_id)
        with _locked(place):
            if _map(place, size_bytes).digest != digest:
                shutil.rmtree(place, ignore_errors=True)
                raise Conflict(f"{path} changed while it was sent: send it again.")
            descriptor = os.open(place / _DATA, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
            entry = put_in_place(root, tuple(path.split("/")), place / _DATA)
            shutil.rmtree(place, ignore_errors=True)
        return entry

    def forget(self, folder: str, upload_id: str) -> None:
        """Give an upload up; raises NotFound."""
        place, _, _ = self._find(folder, upload_id)
        shutil.rmtree(place, ignore_errors=True)

    def forget_all(self, folder: str) -> None:
        """Give up what is on its way to a volume that is going away."""
        for place in self._directory.iterdir():
            with suppress(OSError, NotFound):
                self._find(folder, place.name)
                shutil.rmtree(place, ignore_errors=True)

    def tidy(self, now_s: float) -> None:
        """Remove uploads that nobody has gone on with for KEPT_S seconds."""
        for place in self._directory.iterdir():
            with suppress(OSError):
                if now_s - (place / _DATA).stat().st_mtime > KEPT_S:
                    shutil.rmtree(place, ignore_errors=True)

    def _find(self, folder: str, upload_id: str) -> tuple[Path, int, str]:
        place = self._directory / upload_id
        try:
            if not upload_id.isalnum():
                raise FileNotFoundError
            of, size_bytes, path = (place / _SAID).read_text().split("\n", 2)
        except (OSError, ValueError):
            of, size_bytes, path = "", "0", ""
        if not of or of != folder:
            raise NotFound("There is no such upload (any more): begin it again.")
        return place, int(size_bytes), path


class ChunkSink:
    """One chunk on its way: written where it belongs, and known only when its bytes are what they were said to be."""

    def __init__(self, place: Path, index: int, size_bytes: int, digest: str) -> None:
        self._place = place
        self._index = index
        self._wanted_bytes = size_bytes
        self._digest = digest
        self._data = bytearray()

    def write(self, *chunks: Buffer) -> None:
        """Take the next bytes; raises TooLarge."""
        for chunk in chunks:
            self._data += chunk
        if len(self._data) > self._wanted_bytes:
            raise TooLarge(f"Chunk {self._index} has {self._wanted_bytes} bytes; more arrived.")

    def commit(self) -> Chunk:
        """Write the chunk to its place; raises BadRequest where it is not what it was said to be."""
        found = chunk_digest(self._data)
        if len(self._data) != self._wanted_bytes or found != self._digest:
            raise BadRequest(f"Chunk {self._index} did not arrive as it was sent: send it again.")
        try:
            descriptor = os.open(self._place / _DATA, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NotFound("There is no such upload any more: begin it again.") from None
        try:
            write_chunk(descriptor, self._index, self._data, fresh=self._index not in _journal(self._place))
        except OSError:  # the disk is full: what is half there would keep it so
            shutil.rmtree(self._place, ignore_errors=True)
            raise
        else:
            line = f"{self._index} {found}\n".encode()
            with (self._place / _JOURNAL).open("ab", buffering=0) as journal:
                journal.write(line)
        finally:
            os.close(descriptor)
        return Chunk(self._index, found)

    def discard(self) -> None:
        """Give up. After `commit` this does nothing."""
        self._data = bytearray()


def _map(place: Path, size_bytes: int) -> ContentMap:
    return map_of(size_bytes, [Chunk(index, digest) for index, digest in _journal(place).items()])


def _journal(place: Path) -> dict[int, str]:
    """Return the chunks that are whole; a line that was cut is none."""
    try:
        lines: Sequence[str] = (place / _JOURNAL).read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return {}
    whole = (line.split() for line in lines if line.endswith("\n"))
    return {int(index): digest for index, digest in whole}


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _boot_id() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
