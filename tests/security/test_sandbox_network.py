"""Without a network, a cell talks to itself and to nobody else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.security.intruders import Intruder

pytestmark = pytest.mark.timeout(180)

TALKS: Final = """
import os, socket, threading
def reaches(family, kind, address):
    with socket.socket(family, kind) as sock:
        sock.settimeout(5)
        return attempt(sock.connect, address)
server = socket.create_server(("127.0.0.1", 0))
result = {
    "interfaces": [name for _, name in socket.if_nameindex()],
    "host": reaches(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", PORT)),
    "abstract": reaches(socket.AF_UNIX, socket.SOCK_STREAM, NAME),
    "world": reaches(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
    "metadata": reaches(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)),
    "names": reaches(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.53", 53)),
    "v6": reaches(socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80)),
    "netlink": attempt(os.listdir, "/proc/self/net"),
    "itself": reaches(socket.AF_INET, socket.SOCK_STREAM, server.getsockname()),
}
server.close()
"""
UNREACHED: Final = ("ENETUNREACH", "ECONNREFUSED", "EADDRNOTAVAIL")


def test_without_a_network_only_itself_answers(intruder: Intruder) -> None:
    """Not what listens on the host, by number or by an abstract name; its own loopback does."""
    name = f"\0cellburst-{intruder.folder.name}"
    with _listening(socket.AF_INET, ("127.0.0.1", 0)) as tcp, _listening(socket.AF_UNIX, name):
        said = intruder.cell(f"PORT, NAME = {tcp[1]}, {name!r}\n{TALKS}", session="mute", options="--no-network")
    assert said["interfaces"] == ["lo"]
    assert said["itself"] == "None"
    unreached = {said[kind] for kind in ("host", "abstract", "world", "metadata", "names", "v6")}
    assert unreached <= set(UNREACHED)
    assert intruder.works()
    assert Path(intruder.folder).is_dir()


@contextmanager
def _listening(family: int, address: object) -> Iterator[tuple[str, int]]:
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(address)  # type: ignore[arg-type]
        server.listen()
        thread = threading.Thread(target=_accept, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _accept(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            server.accept()[0].close()
