"""What the agent keeps until the notebook has it: the newest of a long wait lie in a file, and there is an end to it.

The oldest messages stay in memory, because they are wanted first. What does not fit goes to files without a name,
which are gone when their process is; one is let go of as soon as all in it was acknowledged, so that a notebook that
never quite catches up does not fill the disk. Who adds looks at `is_full`, and lets whoever writes wait.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.framing import MESSAGE, envelope
from kernel_bridge.protocol.messages import Buffer

log = logging.getLogger("cellburst.agent")

SEGMENT_BYTES: Final = 32 << 20  # of one file
_LOW: Final = 0.5  # a full one has room again at this part of its limit: not at every message


@dataclass(slots=True)
class _Segment:
    """A file, how much was written to it, and how much of that is still wanted."""

    file: IO[bytes]
    end: int = 0
    waiting_bytes: int = 0


@dataclass(slots=True)
class _Kept:
    """One message: in memory, or so many bytes at a place of a file."""

    size_bytes: int
    data: bytes | None
    segment: _Segment | None = None
    offset: int = 0


class Backlog:
    """Numbered messages that may have to be sent again, bounded in memory and on disk."""

    def __init__(
        self,
        folders: Sequence[str] = (),
        *,
        memory_bytes: int = DEFAULTS.outbox_memory_bytes,
        disk_bytes: int = DEFAULTS.outbox_disk_bytes,
    ) -> None:
        """Keep so much in memory, and so much more in files in the first folder that takes one."""
        self._folders = folders
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._kept: deque[_Kept] = deque()
        self._segments: deque[_Segment] = deque()  # the newest is written to
        self._in_memory = self._on_disk = 0
        self._was_full = False
        self.last = 0  # the number of the newest message

    @property
    def waiting(self) -> int:
        """Return how many messages have not been acknowledged."""
        return len(self._kept)

    @property
    def waiting_bytes(self) -> int:
        """Return how large they are."""
        return self._in_memory + self._on_disk

    def is_full(self, *, reader_here: bool) -> bool:
        """Tell whether whoever writes should wait.

        A notebook that is connected is waited for as soon as the memory is full; for one that is away the disk is used.
        """
        limit = self._memory_bytes + (0 if reader_here else self._disk_bytes)
        self._was_full = self.waiting_bytes >= (limit * _LOW if self._was_full else limit)
        return self._was_full

    def push(self, pieces: list[Buffer]) -> None:
        """Number a message and keep it."""
        self.last += 1
        data = envelope(MESSAGE, self.last, pieces)
        fits = self._in_memory + len(data) <= self._memory_bytes and not self._on_disk
        if fits or not self._spilled(data):
            self._kept.append(_Kept(len(data), data))
            self._in_memory += len(data)

    def get(self, seq: int) -> bytes | None:
        """Return the envelope of a message; None when it was acknowledged, or is none."""
        index = seq - self._first
        if not 0 <= index < len(self._kept):
            return None
        kept = self._kept[index]
        if kept.data is not None:
            return kept.data
        assert kept.segment is not None  # noqa: S101 - where else would it be
        return os.pread(kept.segment.file.fileno(), kept.size_bytes, kept.offset)

    def after(self, seq: int) -> Iterator[bytes]:
        """Yield what a peer that has received up to `seq` still lacks, in order."""
        for number in range(max(seq + 1, self._first), self.last + 1):
            if (data := self.get(number)) is not None:
                yield data

    def acknowledge(self, seq: int) -> None:
        """Forget everything up to `seq`: it has arrived."""
        while self._kept and self._first <= seq:
            kept = self._kept.popleft()
            if kept.segment is None:
                self._in_memory -= kept.size_bytes
            else:
                self._on_disk -= kept.size_bytes
                kept.segment.waiting_bytes -= kept.size_bytes
        while self._segments and not self._segments[0].waiting_bytes:
            self._segments.popleft().file.close()

    def close(self) -> None:
        """Let go of the files."""
        while self._segments:
            self._segments.popleft().file.close()

    @property
    def _first(self) -> int:
        return self.last - len(self._kept) + 1

    def _spilled(self, data: bytes) -> bool:
        """Put a message into a file; False when there is no room for it."""
        try:
            segment = self._writable()
            written = os.pwrite(segment.file.fileno(), data, segment.end)
            if written != len(data):
                raise OSError(28, "no space left on device")
        except OSError as error:
            log.warning("output waits in memory, there is no file for it: %s", error)
            self._disk_bytes = 0
            return False
        self._kept.append(_Kept(len(data), None, segment, segment.end))
        segment.end += len(data)
        segment.waiting_bytes += len(data)
        self._on_disk += len(data)
        return True

    def _writable(self) -> _Segment:
        if not self._segments or self._segments[-1].end >= SEGMENT_BYTES:
            self._segments.append(_Segment(_nameless(self._folders)))
        return self._segments[-1]


def _nameless(folders: Sequence[str]) -> IO[bytes]:
    """Open a file that nobody else can; raises OSError when no folder takes one."""
    for folder in folders:
        try:
            return tempfile.TemporaryFile(dir=folder, buffering=0)
        except OSError:
            continue
    raise OSError(30, "no folder takes a file")
