"""What of the user's goes on between cells: asyncio tasks, threads and processes. None of it can be saved."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final

_OURS: Final = ("remote_runtime", "ipykernel", "asyncio", "IPython")
_WAITING: Final = ("multiprocessing.resource_tracker", "multiprocessing.forkserver", "remote_runtime.agent.keeper")
_HELPERS: Final = (*_WAITING, "joblib")
_SHOWN: Final = 60  # characters of a command
WHY: Final = "it ends with the container"


def running(namespace: MutableMapping[str, Any]) -> dict[str, str]:
    """Return what runs now, by what a person calls it, and why it is lost; call it on the loop's thread."""
    found = [*_tasks(), *_threads(namespace), *_processes()]
    return {name: f"{name} runs; {WHY}" for name in found}


def count_waiting() -> int:
    """Return how many processes below this one do nothing unless they are asked."""
    return sum(any(name in words for name in _WAITING) for _, words in _commands())


def _tasks() -> Iterator[str]:
    ours = asyncio.current_task()
    for task in asyncio.all_tasks():
        coroutine: Any = task.get_coro()
        frame = getattr(coroutine, "cr_frame", None)
        module = str(frame.f_globals.get("__name__", "")) if frame is not None else ""
        if task is not ours and module.partition(".")[0] not in _OURS:
            yield f"asyncio task {getattr(coroutine, '__qualname__', task.get_name())}"


def _threads(namespace: MutableMapping[str, Any]) -> Iterator[str]:
    """Yield threads that run code of the notebook; those of libraries come again when they are needed."""
    for thread in threading.enumerate():
        target: Any = getattr(thread, "_target", None)
        function = getattr(target, "__func__", target)
        of_notebook = getattr(function, "__globals__", None) is namespace or type(thread).__module__ == "__main__"
        if of_notebook and thread.is_alive():
            yield f"thread {thread.name}"


def _processes() -> Iterator[str]:
    for pid, words in _commands():
        if words and not any(helper in words for helper in _HELPERS):
            yield f"process {pid} ({words[:_SHOWN]})"


def _commands() -> Iterator[tuple[int, str]]:
    for children in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in map(int, children.read_text().split()):
                yield pid, _command(pid)


def _command(pid: int) -> str:
    """Return a process's command line; empty when it has ended."""
    with contextlib.suppress(OSError):
        words = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
        return " ".join(words).strip()
    return ""
