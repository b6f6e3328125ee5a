"""SIGINT at the right moment: never between the two halves of a frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupts:
    """Turns an interrupt into KeyboardInterrupt on the main thread, at once or when it lets go of them."""

    def __init__(self) -> None:
        self._held = False
        self._pending = False

    def arrived(self) -> None:
        """Raise KeyboardInterrupt, now or at the end of `held`; call this from the signal handler."""
        if self._held:
            self._pending = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no interrupt come between; other threads than the main one get none anyway."""
        if self._held or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._pending:
                self._pending = False
                raise KeyboardInterrupt
