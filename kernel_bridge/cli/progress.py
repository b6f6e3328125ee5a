"""A line that says how far a transfer is, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator

_AFTER_S = 0.5  # what is over sooner needs no line
_EVERY_S = 0.1


class Progress:
    """Counts bytes against a total and shows both on stderr; `with` it, so that the line goes away."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._next_at = time.monotonic() + _AFTER_S
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write("")

    def over(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces, counting them under the name that is shown."""
        for piece in pieces:
            yield piece
            self._done_bytes += len(piece)
            self._show(name)

    def _show(self, name: str) -> None:
        now = time.monotonic()
        if now < self._next_at or not sys.stderr.isatty():
            return
        self._next_at = now + _EVERY_S
        share = self._done_bytes / self._total_bytes if self._total_bytes else 1.0
        self._write(f"{share:4.0%} of {self._total_bytes / 2**20:.0f} MiB  {name[-60:]}")

    def _write(self, line: str) -> None:
        self._shown = True
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
