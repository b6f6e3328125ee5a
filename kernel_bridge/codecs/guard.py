"""Pickling that never ends, or has no end of content, is stopped: by its size, by time, by an interrupt."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kernel_bridge.errors import CannotTravel

SMALL_PIECES_BYTES: Final = 1 << 30  # of what comes in small pieces, beyond what the value was seen to hold
_SMALL: Final = 128 << 10  # frames are 64 KiB; what an extension hands over in one piece is larger, and has an end
_POLL_S: Final = 0.5
_STALL_S: Final = 60.0
_GRACE_S: Final = 1.0  # an interrupt this soon after a cell's end was meant for the cell
_IDLE_S: Final = 60.0


class TooMuch(CannotTravel):
    """A value's own pickling was stopped."""


class OverLimit(TooMuch):
    """It is larger than it may be."""


class GuardedSink(io.BytesIO):
    """Takes a pickle as it is made, up to a size; `write` raises TooMuch, OverLimit where a limit was given."""

    def __init__(self, most_bytes: int = 0) -> None:
        super().__init__()
        self._small_left = most_bytes or SMALL_PIECES_BYTES
        self._large_left = most_bytes or _half_of_memory()
        self._limited = bool(most_bytes)

    def write(self, data: object, /) -> int:
        """Take the next piece."""
        written = super().write(data)  # type: ignore[arg-type]
        if written <= _SMALL or self._limited:
            self._small_left -= written
        else:
            self._large_left -= written
        if self._small_left < 0 or self._large_left < 0:
            kind = OverLimit if self._limited else TooMuch
            raise kind(f"grew beyond {self.tell() >> 20} MiB while it was pickled, and was given up")
        return written


class Guard:
    """Watches the one pickling that goes on in the main thread, and stops it when it makes no progress."""

    def __init__(self, stall_s: float = _STALL_S) -> None:
        self.stall_s = stall_s
        self._lock = threading.Lock()
        self._progress: Callable[[], int] | None = None
        self._seen = -1
        self._since_s = self._used_s = 0.0
        self._began_s = 0.0
        self._why = ""
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, progress: Callable[[], int]) -> Iterator[None]:
        """Watch what runs inside; `progress` is a number that grows. Raises TooMuch when it was stopped."""
        if self._progress is not None or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._begin(progress)
        try:
            yield
        except KeyboardInterrupt:
            if not self._why:
                raise
            raise TooMuch(self._why) from None
        finally:
            self._end()

    def stop(self) -> bool:
        """Have a KeyboardInterrupt that comes now mean the value that is being pickled; False when none is for long."""
        if self._progress is None or time.monotonic() - self._began_s < _GRACE_S:
            return False
        self._why = self._why or "was given up: its pickling was interrupted"
        return True

    def _begin(self, progress: Callable[[], int]) -> None:
        self._why, self._seen = "", -1
        self._began_s = self._since_s = self._used_s = time.monotonic()
        self._progress = progress
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="cellburst-guard", daemon=True)
            self._thread.start()

    def _end(self) -> None:
        with self._lock:
            self._progress = None
        if self._why:  # the signal may still be on its way
            try:
                time.sleep(0.01)
            except KeyboardInterrupt:
                return

    def _watch(self) -> None:
        while time.monotonic() - self._used_s < _IDLE_S:
            time.sleep(min(_POLL_S, self.stall_s / 4))
            with self._lock:
                self._look()
        self._thread = None

    def _look(self) -> None:
        if self._progress is None or self._why:
            return
        now_s, seen = time.monotonic(), self._progress()
        self._used_s = now_s
        if seen != self._seen:
            self._seen, self._since_s = seen, now_s
        elif now_s - self._since_s >= self.stall_s:
            self._why = f"was given up: its pickling made no progress for {self.stall_s:g} s"
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _half_of_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 64 << 30


GUARD: Final = Guard()
