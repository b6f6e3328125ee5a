"""A line that says how far a transfer is, on a terminal only."""

from __future__ import annotations

import sys
import time

from kernel_bridge.protocol.resources import show_size

_AFTER_S = 0.5  # what is over sooner needs no line
_EVERY_S = 0.1
_BAR_CHARS = 24
_SPEED_OVER_S = 5.0


class Progress:
    """Counts bytes against a total and shows both on stderr; `with` it, so that the line goes away."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._marks = [(time.monotonic(), 0)]
        self._next_at = self._marks[0][0] + _AFTER_S
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write("")

    def count(self, name: str, size_bytes: int) -> None:
        """Add bytes of the file whose name is shown."""
        self._done_bytes += size_bytes
        now = time.monotonic()
        if now < self._next_at or not sys.stderr.isatty():
            return
        self._next_at = now + _EVERY_S
        self._marks = [mark for mark in self._marks if now - mark[0] < _SPEED_OVER_S] or self._marks[-1:]
        self._marks.append((now, self._done_bytes))
        self._write(line(self._done_bytes, self._total_bytes, self._speed(), name))

    def _speed(self) -> float:
        (began, before), (now, done) = self._marks[0], self._marks[-1]
        return (done - before) / (now - began) if now > began else 0.0

    def _write(self, text: str) -> None:
        self._shown = True
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def line(done_bytes: int, total_bytes: int, bytes_a_s: float, name: str) -> str:
    """Return a bar, how much of how much, the speed, how long it will take, and what is under way."""
    share = min(done_bytes / total_bytes, 1.0) if total_bytes else 1.0
    filled = int(share * _BAR_CHARS)
    bar = "█" * filled + "·" * (_BAR_CHARS - filled)
    left_s = int((total_bytes - done_bytes) / bytes_a_s) if bytes_a_s > 0 else 0
    left = f"  {left_s // 60}:{left_s % 60:02} left" if bytes_a_s > 0 else ""
    speed = f"  {show_size(int(bytes_a_s))}/s" if bytes_a_s > 0 else ""
    return f"{bar} {share:4.0%} of {show_size(total_bytes)}{speed}{left}  {name[-40:]}"
