"""What in a kernel child would miss the processor between cells; while there is any, the child is not frozen.

More counts here than in `background.py`, which names what is lost with the container: a library's thread that waits for
a server, a timer, a socket the loop listens on. To leave a child running costs next to nothing; to stop one that
somebody waits for would be a fault that nobody could explain.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator, MutableMapping
from types import FrameType
from typing import Any, Final

from remote_runtime.agent.background import count_waiting, running

_OURS: Final = "cellburst-"
_MONITORS: Final = ("tqdm._monitor",)  # threads that look after something which moves only while a cell runs


def awake(namespace: MutableMapping[str, Any]) -> dict[str, Any]:
    """Return what goes on, by name, and how many processes only wait; call it on the loop's thread, without a cell."""
    loop = asyncio.get_running_loop()
    found = [*running(namespace), *_threads(), *_timers(loop), *_sockets(loop)]
    return {"awake": found, "waiting": count_waiting()}


def _threads() -> Iterator[str]:
    """Yield every thread that runs Python code, whoever started it, but ours and a pool's that waits for work."""
    threads = {thread.ident: thread for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        thread = threads.get(ident)
        name = thread.name if thread is not None else str(ident)
        monitors = thread is not None and type(thread).__module__ in _MONITORS
        if ident != threading.get_ident() and not name.startswith(_OURS) and not monitors and not _waits(frame):
            yield f"thread {name}"


def _waits(frame: FrameType) -> bool:
    """Tell whether a thread of an executor has nothing to do: what it does would be a frame of its own."""
    return frame.f_code.co_name == "_worker" and frame.f_globals.get("__name__") == "concurrent.futures.thread"


def _timers(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    scheduled = getattr(loop, "_scheduled", ())
    if any(not handle.cancelled() for handle in scheduled):
        yield "a timer of the event loop"
    if hasattr(signal, "getitimer") and signal.getitimer(signal.ITIMER_REAL)[0]:
        yield "an alarm"


def _sockets(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Yield that the loop listens for somebody; it has one socket of its own, to be woken by."""
    selector, own = getattr(loop, "_selector", None), getattr(loop, "_ssock", None)
    watched = selector.get_map() if selector is not None else {}
    if any(key.fileobj is not own and key.fd != (own.fileno() if own else -1) for key in watched.values()):
        yield "a socket of the event loop"
