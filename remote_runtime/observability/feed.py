"""The events of this control plane, numbered, kept for a while, and handed to whoever listens.

Publishing never waits: a listener that does not keep up loses its place and has to come again. All of it belongs to the
event loop's thread.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from kernel_bridge.protocol.events import RuntimeEvent

KEPT: Final = 2048  # events a listener may have missed and still be told
BEHIND: Final = 512  # events a listener may lag behind while it is connected
OWNERS_KEPT: Final = 100_000  # sessions whose owner is remembered, closed ones among them

Hear = Callable[[RuntimeEvent], None]


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event and its id, which names the control plane it comes from, too."""

    id: str
    event: RuntimeEvent


@dataclass(frozen=True, slots=True)
class _Kept:
    number: int
    owner: str  # empty: for everyone
    event: RuntimeEvent


class Listening:
    """One listener's place in the feed."""

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self._queue: deque[Numbered] = deque()
        self._news = asyncio.Event()
        self.over = False

    def put(self, item: Numbered) -> None:
        """Take an event; one too many ends the listening."""
        if len(self._queue) >= BEHIND:
            self.end()
        else:
            self._queue.append(item)
            self._news.set()

    def end(self) -> None:
        """Tell nothing more."""
        self.over = True
        self._queue.clear()
        self._news.set()

    async def events(self) -> AsyncIterator[Numbered]:
        """Yield events until it is over."""
        while not self.over:
            if self._queue:
                yield self._queue.popleft()
                continue
            self._news.clear()
            await self._news.wait()


class Feed:
    """Takes events in and gives them out."""

    def __init__(self) -> None:
        self._life = secrets.token_hex(4)
        self._last = 0
        self._closed = False
        self._kept: deque[_Kept] = deque(maxlen=KEPT)
        self._listening: set[Listening] = set()
        self._hearing: list[Hear] = []
        self._owners: dict[str, str] = {}  # of sessions

    def __len__(self) -> int:
        """Return how many listen."""
        return len(self._listening)

    @property
    def last_id(self) -> str:
        """Return the id of the latest event."""
        return self._id(self._last)

    def hear(self, hear: Hear) -> None:
        """Have a function of this process called with every event."""
        self._hearing.append(hear)

    def belongs(self, session_id: str, owner: str) -> None:
        """Note whose a session is: its events are for them alone."""
        self._owners[session_id] = owner
        if len(self._owners) > OWNERS_KEPT:
            del self._owners[next(iter(self._owners))]

    def publish(self, event: RuntimeEvent) -> None:
        """Tell an event to whoever may know it. One of a session that nobody is known to own is told to nobody."""
        for hear in self._hearing:
            hear(event)
        session_id = getattr(event, "session_id", None)
        owner = "" if session_id is None else self._owners.get(session_id)
        if owner is None:
            return
        self._last += 1
        self._kept.append(_Kept(self._last, owner, event))
        for listening in self._listening:
            if _may_know(listening.owner, owner):
                listening.put(Numbered(self._id(self._last), event))

    def listen(self, owner: str | None) -> Listening:
        """Begin to listen to what an owner may know, or to everything; `leave` ends it."""
        listening = Listening(owner)
        if self._closed:
            listening.end()
        self._listening.add(listening)
        return listening

    def leave(self, listening: Listening) -> None:
        """Listen no more."""
        listening.end()
        self._listening.discard(listening)

    def since(self, event_id: str, owner: str | None) -> list[Numbered] | None:
        """Return what an owner missed after an event; None when that is not known any more."""
        life, _, number = event_id.partition("-")
        if life != self._life or not number.isdecimal() or len(number) > 18:
            return None
        seen = int(number)
        oldest = self._kept[0].number if self._kept else self._last + 1
        if not oldest - 1 <= seen <= self._last:
            return None
        return [
            Numbered(self._id(kept.number), kept.event)
            for kept in self._kept
            if kept.number > seen and _may_know(owner, kept.owner)
        ]

    def close(self) -> None:
        """End all listening: the control plane goes."""
        self._closed = True
        for listening in tuple(self._listening):
            listening.end()

    def _id(self, number: int) -> str:
        return f"{self._life}-{number}"


def _may_know(listener: str | None, owner: str) -> bool:
    return listener is None or owner in ("", listener)
