"""Unix sockets: those whose path is longer than an address may be, and those that are not for cells."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from remote_runtime.linux import calls

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


def dial(path: str) -> socket.socket:
    """Return a connection to a socket; raises OSError.

    A process that touches files as its cells' user may not be allowed to: then a thread does it as what we are.
    """
    try:
        return _connected(path)
    except PermissionError:
        with ThreadPoolExecutor(1) as thread:  # whose user for files is its own, and goes with it
            return thread.submit(_connected_as_ourselves, path).result()


def _connected_as_ourselves(path: str) -> socket.socket:
    calls.set_file_user(os.geteuid())
    return _connected(path)


def _connected(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock
