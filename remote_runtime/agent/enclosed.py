"""A container that an engine started: this is its first process, and the walls are up.

`python -m remote_runtime.agent.enclosed SOCKET [CELL_UID]`. What it is told comes through a socket of the control
plane's, as a zygote's fork is told: it is in no list of arguments, no environment and on no disk.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys

from remote_runtime.agent import handing, supervisor
from remote_runtime.agent.kernel_host import HostedKernel, build_kernel
from remote_runtime.agent.walls import Enclosed
from remote_runtime.linux import calls


def main() -> None:
    """Be a container's supervisor until it ends."""
    path, *numbers = sys.argv[1:]
    walls = Enclosed(cell_uid=int(numbers[0]) if numbers else None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)  # at once: who listens learns that this much works
        kernel = _kernel_as(walls.cell_uid)
        connection.sendall(b"ready\n")
        config, handed = handing.receive(connection)
        connection.sendall(json.dumps({"pid": os.getpid()}).encode() + b"\n")
    supervisor.run(config, kernel, walls, handed)


def _kernel_as(uid: int | None) -> HostedKernel:
    """Build the kernel as its cells' user: libraries look for places they may write to."""
    if uid is not None:
        calls.set_file_user(uid)
    kernel = build_kernel()
    gc.collect()
    gc.freeze()
    if uid is not None:
        calls.set_file_user(os.geteuid())
    return kernel


if __name__ == "__main__":
    main()
