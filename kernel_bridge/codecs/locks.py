"""Locks: one that nobody holds is as good as a new one, so it travels as that."""

from __future__ import annotations

import threading
from typing import Any, Final

from kernel_bridge.codecs.kinds import Kind, StaysHere

HELD: Final = Kind("a lock that is held", "release it first")
LOCKS: Final = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}


def is_lock_type(kind: type) -> bool:
    """Whether a type is one of the two that all others (events, conditions, queues) are made of."""
    return kind in LOCKS


def reduce_lock(lock: Any) -> Any:
    """Reduce a lock that nobody holds; raises StaysHere for one that is held."""
    if repr(lock).startswith("<locked"):  # an RLock has no other way to tell
        raise StaysHere(HELD)
    return make_lock, (type(lock) is type(threading.RLock()),)


def make_lock(reentrant: bool) -> Any:
    """Make a lock that nobody holds."""
    return threading.RLock() if reentrant else threading.Lock()
