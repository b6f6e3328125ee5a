"""Many small files in one body: each with a head of its own, and in its place as soon as all of it is here.

A body is a sequence of files: four bytes with the length of the head, the head as JSON, and the file's bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BadRequest, Conflict
from kernel_bridge.protocol.content import CHUNK_BYTES, digest_of
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.wire import from_wire, to_wire
from remote_runtime.volumes.entries import Found, below, entry_of, is_file
from remote_runtime.volumes.paths import walking
from remote_runtime.volumes.writing import FileWriter

HEAD_LIMIT_BYTES: Final = 64 << 10
SMALL_BYTES: Final = 1 << 20  # what a pack that is sent out holds
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """The head of one file of a pack."""

    path: str
    size_bytes: int
    digest: str
    executable: bool = False


def pack_of(root: Path, parts: tuple[str, ...]) -> Iterator[bytes]:
    """Yield a pack of the small files below a directory, and at its end a head of no bytes; raises NotFound."""
    prefix = "".join(f"{part}/" for part in parts)
    with walking(root) as walk:
        walk.enter(parts)
        for found in below(walk.descriptor, prefix, deep=True):
            if is_file(found.info) and found.info.st_size <= SMALL_BYTES:
                with suppress(OSError):  # it went away, or became something else: whoever misses it asks for it
                    yield _packed(found)
    yield bytes(_LENGTH_BYTES)


def _packed(found: Found) -> bytes:
    descriptor = os.open(found.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=found.folder)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(SMALL_BYTES)
    entry = entry_of(found.path, found.info)
    head = PackedFile(path=entry.path, size_bytes=len(data), digest=digest_of(data), executable=entry.executable)
    text = json.dumps(to_wire(head)).encode()
    return len(text).to_bytes(_LENGTH_BYTES, "big") + text + data


class PackSink:
    """Takes a pack and writes its files, one after another; those that came whole stay, whatever comes after them."""

    def __init__(self, writer: Callable[[str], FileWriter]) -> None:
        self._writer = writer  # of a path
        self._data = bytearray()
        self._head: PackedFile | None = None
        self._files = 0

    def write(self, *chunks: Buffer) -> None:
        """Take the next bytes, and put in place what is whole; raises BadRequest, Conflict or TooLarge."""
        for chunk in chunks:
            self._data += chunk
        while self._one():
            pass

    def commit(self) -> int:
        """Return how many files there were; raises BadRequest when the last is not whole."""
        if self._data or self._head is not None:
            raise BadRequest(f"The pack ends within its file {self._files + 1}.")
        return self._files

    def discard(self) -> None:
        """Give up what is not whole. After `commit` this does nothing."""
        self._data = bytearray()

    def _one(self) -> bool:
        if self._head is None:
            self._head = self._read_head()
        head = self._head
        if head is None or len(self._data) < head.size_bytes:
            return False
        data = bytes(self._data[: head.size_bytes])
        if digest_of(data) != head.digest:
            raise Conflict(f"{head.path} did not arrive as it was sent: send it again.")
        writer = self._writer(head.path)
        try:
            writer.executable = head.executable
            writer.write(data)
            writer.commit()
        finally:
            writer.discard()
        del self._data[: head.size_bytes]
        self._head = None
        self._files += 1
        return True

    def _read_head(self) -> PackedFile | None:
        if len(self._data) < _LENGTH_BYTES:
            return None
        length = int.from_bytes(self._data[:_LENGTH_BYTES], "big")
        if length > HEAD_LIMIT_BYTES:
            raise BadRequest(f"The head of a file in a pack may have {HEAD_LIMIT_BYTES >> 10} KiB.")
        end = _LENGTH_BYTES + length
        if len(self._data) < end:
            return None
        try:
            head = from_wire(PackedFile, json.loads(self._data[_LENGTH_BYTES:end]))
        except ValueError:
            raise BadRequest("The head of a file in a pack is not JSON.") from None
        if not 0 <= head.size_bytes <= CHUNK_BYTES:
            raise BadRequest(f"A file in a pack may have {CHUNK_BYTES >> 20} MiB: send larger ones by themselves.")
        del self._data[:end]
        return head
