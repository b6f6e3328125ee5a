"""100 MB of random bytes to the blob service over TCP on this machine and back: the way a value takes when notebook
and container share no memory. Every time other bytes. *Put* hashes, sends, and the service hashes again and stores;
*get* receives and hashes. The limit is the same number of bytes through a bare socket to another thread; and
written to a file of the same disk and synchronised, which *put* does not wait for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.peers import limits
from benchmarks.subject.runtime import check_ours, data_dir
from kernel_bridge.client.blobs import HttpBlobs
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import Address

SIZE: Final = 100_000_000
PUT, GET, SOCKET_PUT, SOCKET_GET = "blob put", "blob get", "raw socket, there", "raw socket, back"
DISK = "file, on disk"


def measure(effort: Effort) -> Measured:
    """Measure."""
    data = np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)
    into = bytearray(SIZE)
    with served() as plane, limits.tcp_pair(SIZE) as (send, get):
        blobs = HttpBlobs(plane)
        names = [""]

        def change() -> None:
            data[:: 1 << 12] += 1

        def put() -> None:
            names[0] = blobs.put(data.data)

        def fetch() -> None:
            if len(HttpBlobs(plane).get(names[0], SIZE)) != SIZE:
                raise RuntimeError("the blob came back short")

        contestants = [
            Contestant(PUT, put, prepare=change),
            Contestant(GET, fetch),
            Contestant(SOCKET_PUT, lambda: send(data)),
            Contestant(SOCKET_GET, lambda: get(into)),
            Contestant(DISK, lambda: limits.write_file(data_dir() / "limit", data)),
        ]
        return Measured(contest(contestants, runs=effort.times(12), warm_up=2, limit_s=60))


@contextmanager
def served() -> Iterator[ControlPlane]:
    """Start a runtime that listens on a free port; yield its routes."""
    check_ours()
    command = [
        sys.executable,
        "-P",
        "-m",
        "kernel_bridge.cli.main",
        "runtime",
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+(?=;)", line)
            if found is None:
                raise RuntimeError(f"the runtime did not start: {line}")
            token = Path(os.environ["CELLBURST_RUNTIME_DIR"], "token").read_text().strip()
            with ControlPlane(Address(url=found[0], token=token)) as plane:
                yield plane
        finally:
            process.terminate()


ROW = Row(
    title="100 MB through the blob service",
    measure=measure,
    reference=SOCKET_PUT,
    ours=(PUT, GET),
    limits=(SOCKET_PUT, SOCKET_GET, DISK),
    promises=(
        Promise(
            what="100 MB, no shared memory",
            contestant=PUT,
            limit=60.0,
        ),
    ),
    memory_bytes=1 << 30,
)
