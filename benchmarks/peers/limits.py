"""What the machine can do at all: copy memory, pass bytes through a socket, write a file, start a process."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def copier(array: Any) -> Callable[[], None]:
    """Return what copies an array into memory that has been written to before."""
    target = np.ones_like(array)

    def copy() -> None:
        ctypes.memmove(target.ctypes.data, array.ctypes.data, array.nbytes)

    return copy


@contextmanager
def tcp_pair(size_bytes: int) -> Iterator[tuple[Callable[[Any], None], Callable[[Any], None]]]:
    """Yield what sends that many bytes to another thread over loopback until it has them all, and what gets them back.

    The copying is done by the system without Python's lock, so two threads are as good as two processes.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    store = bytearray(size_bytes)
    thread = threading.Thread(target=_serve, args=(far, store), daemon=True)
    thread.start()

    def send(data: Any) -> None:
        near.sendall(b"p")
        near.sendall(memoryview(data).cast("B"))
        near.recv(1)

    def get(into: Any) -> None:
        near.sendall(b"g")
        receive_into(near, memoryview(into).cast("B"))

    try:
        yield send, get
    finally:
        near.close()
        thread.join()
        far.close()


def receive_into(end: socket.socket, view: memoryview) -> None:
    """Fill a buffer from a socket; raises ConnectionError when it ends early."""
    filled = 0
    while filled < len(view):
        count = end.recv_into(view[filled:])
        if not count:
            raise ConnectionError("the other end is gone")
        filled += count


def fork() -> None:
    """Fork this process, and wait until the child has written a byte."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"x")
        os._exit(0)
    os.read(read, 1)
    os.waitpid(pid, 0)
    os.close(read)
    os.close(write)


def bare_python() -> None:
    """Start an interpreter that does nothing."""
    subprocess.run([sys.executable, "-S", "-E", "-c", "pass"], check=True)


def write_shared(path: Path, array: Any) -> None:
    """Write an array into a fresh file of shared memory and map it, as the other process would."""
    path.unlink(missing_ok=True)
    with path.open("w+b", buffering=0) as file:
        file.truncate(array.nbytes)
        with mmap.mmap(file.fileno(), array.nbytes) as memory:
            target = ctypes.c_char.from_buffer(memory)
            ctypes.memmove(ctypes.addressof(target), array.ctypes.data, array.nbytes)
            del target
        mmap.mmap(file.fileno(), array.nbytes, flags=mmap.MAP_PRIVATE).close()


def write_file(path: Path, data: Any) -> None:
    """Write a fresh file and have it on disk."""
    with path.open("wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    path.unlink()


def _serve(end: socket.socket, store: bytearray) -> None:
    view = memoryview(store)
    try:
        while order := end.recv(1):
            if order == b"p":
                receive_into(end, view)
                end.sendall(b"k")
            else:
                end.sendall(view)
    except ConnectionError:
        return
