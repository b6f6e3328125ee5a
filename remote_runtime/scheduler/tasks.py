"""Every background task has an owner, and every late write its turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from kernel_bridge.errors import StoreUnavailable

log = logging.getLogger(__name__)

_TRIES: Final = 600  # each may take as long as the store is patient
_AGAIN_AFTER_S: Final = 1.0

Write = Callable[[], Awaitable[object]]
T = TypeVar("T")


class Tasks:
    """Owns background tasks for as long as the control plane runs; one that fails is logged and harms no other."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        # The tasks are of no interest to what ended us: it goes its own way, not wrapped in a group.
        await self._group.__aexit__(None, None, None)

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> asyncio.Task[None]:
        """Run something beside everything else."""
        task = self._group.create_task(_guarded(work, name), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def spawn_soon(self, work: Callable[[], Coroutine[Any, Any, object]], name: str) -> None:
        """The same from a signal handler, which runs between any two instructions."""
        asyncio.get_running_loop().call_soon_threadsafe(lambda: self.spawn(work(), name))


class WriteBehind:
    """A queue of writes that nobody waits for, done one after the other in the order they came.

    They begin `delay_s` after the first of them, so that they do not compete with the cell they are about.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self._queue: asyncio.Queue[Write] = asyncio.Queue()
        self._delay_s = delay_s
        self._wanted = asyncio.Event()  # somebody waits after all

    def put(self, write: Write) -> None:
        """Have it written soon."""
        self._queue.put_nowait(write)

    async def drain(self) -> None:
        """Write for ever: the body of an owned task."""
        while True:
            write = await self._queue.get()
            await self._wait()
            while True:
                try:
                    await _guarded(_written(write), "write behind")
                finally:
                    self._queue.task_done()
                if self._queue.empty():
                    break
                write = self._queue.get_nowait()

    async def flushed(self) -> None:
        """Return when everything put so far is written."""
        self._wanted.set()
        await self._queue.join()

    async def _wait(self) -> None:
        if self._delay_s:
            self._wanted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._delay_s):
                    await self._wanted.wait()


async def uncut(work: Coroutine[Any, Any, T]) -> T:
    """Do something whole: a cancellation that comes meanwhile is raised when it is done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _written(write: Write) -> None:
    """A database that is away comes back: what happened meanwhile is written then, for the bill is made of it."""
    for _ in range(_TRIES):
        try:
            await write()
        except StoreUnavailable as error:
            log.error("a write waits: %s", error)
            await asyncio.sleep(_AGAIN_AFTER_S)
        else:
            return
    await write()


async def _guarded(work: Awaitable[object], name: str) -> None:
    try:
        await work
    except Exception:  # the last line of defence of a background task
        log.exception("%s failed", name)
