"""Run what recurses deeper than a thread's stack goes: in a thread of its own that has a larger one."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Final, TypeVar

T = TypeVar("T")

_STACK_BYTES: Final = 1 << 30  # of addresses: memory only as far as it is used
_BYTES_A_CALL: Final = 1 << 10
_LOCK: Final = threading.Lock()


def with_deep_stack(run: Callable[[], T]) -> T:
    """Return what `run` returns; this thread waits. Raises what `run` raises, RecursionError when that is too deep too.

    From Python 3.12 on, the depth of C code is fixed, and this helps no more.
    """
    if (3, 12) <= sys.version_info < (3, 14):
        raise RecursionError
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(run())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            failure.append(error)

    with _LOCK:
        _run_deep(work)
    if failure:
        raise failure[0]
    return outcome[0]


def is_too_deep(error: BaseException) -> bool:
    """Tell whether pickling stopped because of how deep a value is; cloudpickle has words of its own for it."""
    return isinstance(error, RecursionError) or "deep recursion" in _text(error)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - its own __str__
        return ""


def _run_deep(work: Callable[[], None]) -> None:
    limit, size = sys.getrecursionlimit(), threading.stack_size()
    try:
        threading.stack_size(_STACK_BYTES)
        thread = threading.Thread(target=copy_context().run, args=(work,), daemon=True)
        sys.setrecursionlimit(max(limit, _STACK_BYTES // _BYTES_A_CALL))
        thread.start()
        _wait_for(thread)
    except (RuntimeError, ValueError, MemoryError):  # no such thread can be had
        raise RecursionError from None
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)


def _wait_for(thread: threading.Thread) -> None:
    try:
        thread.join()
    except KeyboardInterrupt:
        ident = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(KeyboardInterrupt))
        thread.join()
        raise
