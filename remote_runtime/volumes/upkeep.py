"""What is done for volumes without anybody asking: their sizes are written down, so that growth can be told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from kernel_bridge.errors import NotFound
from remote_runtime.clock import Clock
from remote_runtime.volumes.books import DAY_S, Books, measure
from remote_runtime.volumes.snapshots import Snapshots


def record_sizes(volumes: Path, beside: Path, clock: Clock) -> None:
    """Write down the size of every volume in a directory that has none of the last day; `beside` is where."""
    now_s = clock.now()
    for root in volumes.iterdir():
        books = Books(beside / root.name)
        if not root.name.startswith(".") and now_s - books.recorded_at_s() > DAY_S:
            with suppress(NotFound):  # deleted meanwhile
                kept_bytes = Snapshots(beside / root.name, clock).disk_bytes()
                books.record(now_s, measure(root).disk_bytes + kept_bytes)
