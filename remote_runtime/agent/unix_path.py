"""Unix sockets whose path is longer than an address may be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ADDRESS_BYTES: Final = 100  # sun_path has 108 bytes on Linux, 104 on macOS, the final zero included


@contextmanager
def addressable(path: str) -> Iterator[str]:
    """Yield a path to the same socket that fits into an address; long ones go through a descriptor of their folder."""
    if len(os.fsencode(path)) < _ADDRESS_BYTES:
        yield path
        return
    folder = os.open(Path(path).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)
