"""The warm parent containers are forked from: one for each owner and environment, single-threaded, no event loop.

It has imported what cells usually need, and built the kernel, but run nothing of it: after any real use in the parent,
a child's torch, scikit-learn or polars would hang. Its listening socket is inherited. A fork of it reads what a
container is told (`handing.py`), so that nothing of one container stays in the parent of another, and answers `{"pid":
..., "start_time": ...}`. It ends when its owner has been gone for a while.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from remote_runtime.agent import container_log, handing, supervisor
from remote_runtime.agent.kernel_host import HostedKernel, build_kernel
from remote_runtime.agent.packages import link_layers
from remote_runtime.linux.enter import read_all
from remote_runtime.linux.huge_pages import collapse_step_by_step
from remote_runtime.linux.walls import Walls

log = logging.getLogger("cellburst.zygote")

_OWNER_GONE_S: Final = 120.0
_TICK_S: Final = 5.0
_QUIET_S: Final = 0.5  # after a fork, until the container has started
_LATE: Final = ("bdb", "IPython.core.logger", "numpy.random")  # what libraries load when a first cell runs


def main() -> None:
    """Accept and fork: `python -m remote_runtime.agent.zygote --listen FD --owner-pid PID [--walls FD]`."""
    options = _arguments()
    walls = Walls.from_json(read_all(options.walls)) if options.walls >= 0 else None
    _warm_up(options.layers, options.preload)
    kernel = build_kernel()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page of ours that it looks at
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are reaped by the kernel
    with socket.socket(fileno=options.listen) as listener:
        _serve(listener, kernel, walls, options.owner_pid)


def _serve(listener: socket.socket, kernel: HostedKernel, walls: Walls | None, owner_pid: int) -> None:
    seen_s = time.monotonic()
    steps = collapse_step_by_step()
    pause_s = _QUIET_S
    while time.monotonic() - seen_s < _OWNER_GONE_S:
        ready, _, _ = select.select([listener], [], [], pause_s)
        pause_s = _pause(steps, asked=bool(ready))
        if ready or Path(f"/proc/{owner_pid}").exists():
            seen_s = time.monotonic()
        if ready:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    supervisor.finish(partial(_be_container, connection, kernel, walls))


def _pause(steps: Iterator[None], *, asked: bool) -> float:
    """Make forks cheaper while nobody wants one; returns for how long to wait for somebody who does, in seconds."""
    if asked:
        return _QUIET_S
    return 0.0 if next(steps, steps) is None else _TICK_S


def _be_container(connection: socket.socket, kernel: HostedKernel, walls: Walls | None) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        config, handed = handing.receive(connection)
    except (OSError, ValueError, KeyError) as error:
        _answer(connection, {"error": f"{type(error).__name__}: {error}"})
        return
    _answer(connection, {"pid": os.getpid(), "start_time": start_time(os.getpid())})
    connection.close()
    container_log.begin("zygote", config)
    log.info("forked a container")
    supervisor.run(config, kernel, walls, handed)


def _answer(connection: socket.socket, said: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(said).encode() + b"\n")


def start_time(pid: int) -> str:
    """Return the process's start in clock ticks since boot: with the pid and the boot id it names one process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19]


def _warm_up(layers: list[str], preload: str) -> None:
    link_layers(layers)
    for name in filter(None, preload.split(",")):
        with contextlib.suppress(Exception):  # not in this environment, or broken there: the cell will say so
            importlib.import_module(name)
    for name in _LATE:
        if name.partition(".")[0] in sys.modules or "." not in name:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cellburst-zygote")
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--walls", type=int, default=-1)
    parser.add_argument("--owner-pid", type=int, required=True)
    parser.add_argument("--preload", default="")
    parser.add_argument("--layers", nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
