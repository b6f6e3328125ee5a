"""Saved state on the disk: an index, and one folder a save with the bytes it speaks of.

    <state>/index.json      what is saved, and in which folder; replacing it is what makes a save the one that counts
    <state>/000003/pack     small pieces, one after the other
    <state>/000003/1 2 3    large pieces, a file each; what the save before had, too, is linked and not written again

Everything a save needs is on the disk, synced, before the index is replaced: whoever is killed meanwhile, and a disk
that fills up, leaves the save before as it was. Files are never written to once they are named.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from kernel_bridge.codecs.hashing import digest as digest_of

FORMAT: Final = 2  # of the index and of what the pickles hold
_INDEX: Final = "index.json"
_PACK: Final = "pack"
_FORMER_LAYOUT: Final = "current"  # where format 1 had its index
_OWN_FILE_BYTES: Final = 64 << 10
_WRITE_BYTES: Final = 64 << 20


class OtherFormat(Exception):
    """The state was saved by another version; the message is one line."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a save: a file, or a part of the pack."""

    file: str  # relative to the state directory
    offset: int
    size_bytes: int
    digest: str = ""  # xxh3_128, of those that have a file of their own


@dataclass(slots=True)
class Entry:
    """One saved co-variable."""

    names: list[str]
    shared: list[str]  # what the notebook holds too, in this very form
    pickle: Piece
    buffers: list[Piece] = field(default_factory=list)
    handles: dict[str, dict[str, str]] = field(default_factory=dict)  # hidden name -> key, name, reason
    process: dict[str, str] = field(default_factory=dict)  # hidden name -> which part of the process's own state
    outdated: list[str] = field(default_factory=list)  # names bound anew since

    @property
    def pieces(self) -> list[Piece]:
        """Return everything it has on the disk."""
        return [self.pickle, *self.buffers]


@dataclass(slots=True)
class Index:
    """What one save holds. `lost` are the handles whose values could not be saved: key -> name and reason."""

    epoch: str
    saved_at_s: float
    entries: list[Entry]
    lost: dict[str, dict[str, str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)  # lines that nobody was shown yet
    rewound: bool = False  # what came after it was lost once: names may stand for older values


class StateFiles:
    """A session's state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._former: dict[tuple[str, int], str] = {}  # digest and size -> the file that holds it

    def read(self) -> Index | None:
        """Return what was saved last, None when nothing was; raises OtherFormat, or OSError when the disk does."""
        try:
            written = (self._directory / _INDEX).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            if (self._directory / _FORMER_LAYOUT).is_dir():
                raise OtherFormat(_other_format(1)) from None
            return None
        try:
            said = json.loads(written)
            if said["format"] != FORMAT:
                raise OtherFormat(_other_format(said["format"]))
            entries = [_entry(one) for one in said["entries"]]
            index = Index(said["epoch"], said["saved_at_s"], entries, said["lost"], said["remarks"], said["rewound"])
            folder = str(said["folder"])
        except (ValueError, KeyError, TypeError):
            raise OtherFormat("The saved state is damaged and cannot be read: the session starts empty.") from None
        self._remember(index.entries)
        self._remove(name for name in self._folders() if name != folder)  # of a save that was not finished
        return index

    def bytes_of(self, piece: Piece) -> memoryview:
        """Return a piece as writable memory of our own; of one with its own file, pages are read when touched."""
        with (self._directory / piece.file).open("rb") as file:
            if piece.digest:
                return memoryview(mmap.mmap(file.fileno(), piece.size_bytes, access=mmap.ACCESS_COPY))
            found = bytearray(os.pread(file.fileno(), piece.size_bytes, piece.offset))
        if len(found) != piece.size_bytes:
            raise OSError(f"{piece.file} ends early")
        return memoryview(found)

    @contextmanager
    def saving(self) -> Iterator[Saving]:
        """Begin a save; it counts once it was committed, and leaves nothing behind when it was not."""
        folders = self._folders()
        saving = Saving(self._directory, f"{max((int(name) for name in folders), default=0) + 1:06d}", self._former)
        try:
            yield saving
        finally:
            saving.close()
            if saving.committed is None:
                shutil.rmtree(self._directory / saving.folder, ignore_errors=True)
            else:
                self._remember(saving.committed.entries)
                self._remove((*folders, _FORMER_LAYOUT))

    def _folders(self) -> list[str]:
        if not self._directory.is_dir():
            return []
        return [entry.name for entry in self._directory.iterdir() if entry.name.isdigit()]

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            shutil.rmtree(self._directory / name, ignore_errors=True)

    def _remember(self, entries: Iterable[Entry]) -> None:
        pieces = (piece for entry in entries for piece in entry.pieces if piece.digest)
        self._former = {(piece.digest, piece.size_bytes): piece.file for piece in pieces}


class Saving:
    """One save as it is written."""

    def __init__(self, directory: Path, folder: str, former: dict[tuple[str, int], str]) -> None:
        self._directory = directory
        self.folder = folder
        self._former = former
        self._count = 0
        self._packed_bytes = 0
        self.committed: Index | None = None
        (directory / folder).mkdir(parents=True)
        self._pack = (directory / folder / _PACK).open("xb")

    def put(self, data: memoryview | bytes, digest: str = "") -> Piece:
        """Write bytes; those that the save before holds in a file of their own are linked. Raises OSError."""
        view = memoryview(data).cast("B")
        if view.nbytes < _OWN_FILE_BYTES:
            return self._put_into_pack(view)
        digest = digest or digest_of(view)
        name = self._next_name()
        former = self._former.get((digest, view.nbytes))
        if former is None:
            _write(self._directory / name, view)
        else:
            os.link(self._directory / former, self._directory / name)
        return Piece(name, 0, view.nbytes, digest)

    def carry(self, piece: Piece) -> Piece:
        """Take over a piece of the save before, without looking into it; raises OSError."""
        if piece.digest:
            name = self._next_name()
            os.link(self._directory / piece.file, self._directory / name)
            return Piece(name, 0, piece.size_bytes, piece.digest)
        with (self._directory / piece.file).open("rb") as file:
            return self._put_into_pack(memoryview(os.pread(file.fileno(), piece.size_bytes, piece.offset)))

    def commit(self, index: Index) -> int:
        """Make this save the one that counts; returns the bytes it takes. Raises OSError."""
        self._pack.flush()
        os.fsync(self._pack.fileno())
        _sync_folder(self._directory / self.folder)
        part = self._directory / f"{_INDEX}.part"
        _write(part, memoryview(_written(index, self.folder)))
        _sync_folder(self._directory)  # the folder's own name, before the index speaks of it
        part.replace(self._directory / _INDEX)
        self.committed = index
        _sync_folder(self._directory)
        return sum(file.stat().st_size for file in (self._directory / self.folder).iterdir())

    def close(self) -> None:
        """Let go of the pack."""
        try:
            self._pack.close()
        except OSError:  # what it still held found no room: the save is not committed
            if self.committed is not None:
                raise

    def _put_into_pack(self, view: memoryview) -> Piece:
        piece = Piece(f"{self.folder}/{_PACK}", self._packed_bytes, view.nbytes)
        self._pack.write(view)
        self._packed_bytes += view.nbytes
        return piece

    def _next_name(self) -> str:
        self._count += 1
        return f"{self.folder}/{self._count}"


def _other_format(found: object) -> str:
    return (
        f"The saved state has format {found}, this version of cellburst reads {FORMAT}: the session starts empty. "
        "The version that saved it can still read it, until this session is saved again."
    )


def _entry(said: dict[str, Any]) -> Entry:
    pickle, buffers = Piece(*said.pop("pickle")), [Piece(*piece) for piece in said.pop("buffers")]
    return Entry(pickle=pickle, buffers=buffers, **said)


def _written(index: Index, folder: str) -> bytes:
    entries = [_without_empty(asdict(entry)) for entry in index.entries]
    said = {"format": FORMAT, "folder": folder, "epoch": index.epoch, "saved_at_s": index.saved_at_s}
    said |= {"lost": index.lost, "remarks": index.remarks, "rewound": index.rewound}
    return json.dumps(said | {"entries": entries}).encode()


def _without_empty(entry: dict[str, Any]) -> dict[str, Any]:
    entry["pickle"], entry["buffers"] = list(entry["pickle"].values()), [list(one.values()) for one in entry["buffers"]]
    return {key: value for key, value in entry.items() if value or key in ("names", "shared", "buffers")}


def _write(path: Path, view: memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        done = 0
        while done < view.nbytes:
            done += os.write(descriptor, view[done : done + _WRITE_BYTES])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
