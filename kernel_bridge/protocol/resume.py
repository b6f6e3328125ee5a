"""Numbered messages that survive a broken connection: kept until acknowledged, delivered once. Sans I/O.

Either end of a session has an Outbox and an Inbox; the control plane between them only forwards. After a break each
side tells the other the last number it received, and what is missing is sent again. A *stream* is one container's life:
when the container is another one, both ends start again from 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from kernel_bridge.protocol.framing import MESSAGE, envelope
from kernel_bridge.protocol.messages import Buffer

ACK_EVERY = 64  # messages between two acknowledgements on a busy stream


class Outbox:
    """What was sent and may have to be sent again."""

    def __init__(self) -> None:
        self._last = 0
        self._kept: deque[tuple[int, bytes]] = deque()

    def push(self, pieces: list[Buffer]) -> bytes:
        """Number a message, keep it and return its envelope."""
        self._last += 1
        data = envelope(MESSAGE, self._last, pieces)
        self._kept.append((self._last, data))
        return data

    def acknowledge(self, seq: int) -> None:
        """Forget everything up to `seq`: it has arrived."""
        while self._kept and self._kept[0][0] <= seq:
            self._kept.popleft()

    def after(self, seq: int) -> Iterator[bytes]:
        """Yield what a peer that has received up to `seq` still lacks, in order."""
        yield from [data for number, data in self._kept if number > seq]

    @property
    def waiting(self) -> int:
        """Return how many messages have not been acknowledged."""
        return len(self._kept)


class Inbox:
    """What has arrived: in order, each number once."""

    def __init__(self) -> None:
        self.received = 0
        self.acknowledged = 0

    def accept(self, seq: int) -> bool:
        """Tell whether this is the next message; a repetition is dropped, and so is one after a gap: it comes again."""
        if seq != self.received + 1:
            return False
        self.received = seq
        return True

    def due(self, *, idle: bool = False) -> int | None:
        """Return the number to acknowledge now, or None; `idle` asks for an answer when nothing more is at hand."""
        pending = self.received - self.acknowledged
        if pending and (idle or pending >= ACK_EVERY):
            self.acknowledged = self.received
            return self.received
        return None
