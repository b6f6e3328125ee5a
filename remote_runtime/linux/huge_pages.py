"""Memory in huge pages: a fork copies one entry for each, instead of five hundred."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from remote_runtime.linux import calls

_HUGE_BYTES: Final = 2 << 20


def collapse_step_by_step() -> Iterator[None]:
    """Collapse what this process has allocated so far, a huge page a step, some milliseconds each.

    Where the kernel cannot (before Linux 6.1), has no room, or is told not to, nothing changes.
    """
    for start, end in list(_allocated()):
        first = -(-start // _HUGE_BYTES) * _HUGE_BYTES
        for address in range(first, end - _HUGE_BYTES + 1, _HUGE_BYTES):
            with contextlib.suppress(OSError):
                calls.collapse(address, _HUGE_BYTES)
            yield


def _allocated() -> Iterator[tuple[int, int]]:
    """Return where memory lies that is private, writable and of no file."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            where, mode, _offset, _device, inode, *name = line.split(maxsplit=5)
            if mode.startswith("rw-p") and inode == "0" and name in ([], ["[heap]"]):
                start, _, end = where.partition("-")
                yield int(start, 16), int(end, 16)
