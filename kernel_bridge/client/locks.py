"""A lock between processes of one user."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from kernel_bridge.errors import RuntimeUnreachable

try:
    import fcntl
except ImportError:  # Windows, where no runtime is started and nothing asks for this lock
    fcntl = None  # type: ignore[assignment]

_RETRY_S = 0.02


@contextlib.contextmanager
def file_lock(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock on a file; it goes with the process, however that ends. Raises RuntimeUnreachable when late."""
    if fcntl is None:
        raise RuntimeUnreachable("This system has no file locks.")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise RuntimeUnreachable(
                    f"Another process has been starting the runtime for {timeout_s:.0f} s ({path})."
                )
            time.sleep(_RETRY_S)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the lock on a file."""
    if fcntl is None or not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
