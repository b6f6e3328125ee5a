"""Single-flight: however many ask for one thing at once, it is made once, and all see how it goes."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from remote_runtime.images.uv import Progress

log = logging.getLogger(__name__)

_LOCK_POLL_S: Final = 0.05


class Flight:
    """One piece of work under way: its lines so far and those who listen."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._listeners: list[Progress] = []

    def say(self, line: str) -> None:
        """Pass one line to everyone who listens."""
        self.lines.append(line)
        for listener in tuple(self._listeners):
            self._tell(listener, line)

    def listen(self, listener: Progress) -> None:
        """Repeat what was said so far, then pass on what follows."""
        self._listeners.append(listener)
        for line in self.lines:
            self._tell(listener, line)

    def leave(self, listener: Progress) -> None:
        """Tell this listener nothing more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _tell(self, listener: Progress, line: str) -> None:
        """A listener that fails is dropped: the work is not only its own."""
        try:
            listener(line)
        except Exception:
            log.exception("a build's listener failed")
            self.leave(listener)


class Flights:
    """The work under way, by key; it owns its tasks until `aclose`."""

    def __init__(self) -> None:
        self._under_way: dict[str, tuple[Flight, asyncio.Task[None]]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._under_way

    def keys(self) -> frozenset[str]:
        """Return what is under way."""
        return frozenset(self._under_way)

    async def join(self, key: str, work: Callable[[Progress], Awaitable[None]], progress: Progress) -> None:
        """Start the work or join it; a caller that is cancelled leaves the work to the others."""
        if key not in self._under_way:
            flight = Flight()
            task = asyncio.ensure_future(_as_coroutine(work, flight.say))
            self._under_way[key] = flight, task
            task.add_done_callback(lambda done: self._landed(key, done))
        flight, task = self._under_way[key]
        flight.listen(progress)
        try:
            await asyncio.shield(task)
        finally:
            flight.leave(progress)

    async def aclose(self) -> None:
        """Cancel what is under way and wait for its end."""
        tasks = [task for _, task in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, key: str, task: asyncio.Task[None]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen: those who waited raise it themselves


@asynccontextmanager
async def exclusive(lock_file: Path) -> AsyncIterator[None]:
    """Hold a lock that other processes of this host respect; it ends with the process, however that ends."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110  another process holds it: there is no event to wait for
            await asyncio.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _as_coroutine(work: Callable[[Progress], Awaitable[None]], say: Progress) -> None:
    await work(say)
