"""The warm parent containers are forked from: one for each environment, single-threaded, without an event loop.

It has imported what cells usually need, and built the kernel, but run nothing of it: after any real use in the parent,
a child's torch, scikit-learn or polars would hang. It listens on a unix socket for one JSON line `{"config": PATH}` and
answers `{"pid": ..., "start_time": ...}`; it ends when its owner has been gone for a while.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import time
from pathlib import Path
from typing import Any, Final

from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.containers import ContainerConfig
from remote_runtime.agent import supervisor
from remote_runtime.agent.kernel_host import HostedKernel, build_kernel
from remote_runtime.agent.packages import link_layers

_OWNER_GONE_S: Final = 120.0
_TICK_S: Final = 5.0


def main() -> None:
    """Listen and fork: `python -m remote_runtime.agent.zygote --socket PATH --owner-pid PID`."""
    options = _arguments()
    _warm_up(options.layers, options.preload)
    kernel = build_kernel()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page of ours that it looks at
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        path = Path(options.socket)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are reaped by the kernel
        _serve(listener, kernel, options.owner_pid)
        path.unlink(missing_ok=True)


def _serve(listener: socket.socket, kernel: HostedKernel, owner_pid: int) -> None:
    seen_s = time.monotonic()
    while time.monotonic() - seen_s < _OWNER_GONE_S:
        ready, _, _ = select.select([listener], [], [], _TICK_S)
        if ready or Path(f"/proc/{owner_pid}").exists():
            seen_s = time.monotonic()
        if ready:
            connection, _ = listener.accept()
            with connection:
                _answer(connection, listener, kernel)


def _answer(connection: socket.socket, listener: socket.socket, kernel: HostedKernel) -> None:
    with contextlib.suppress(OSError):
        connection.settimeout(5)
        line = connection.makefile("rb").readline()
        try:
            config = supervisor.read_config(json.loads(line)["config"])
            reply: dict[str, Any] = _fork(config, connection, listener, kernel)
        except (OSError, ValueError, KeyError, CellburstError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        connection.sendall(json.dumps(reply).encode() + b"\n")


def _fork(
    config: ContainerConfig, connection: socket.socket, listener: socket.socket, kernel: HostedKernel
) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.close()
        listener.close()
        supervisor.finish(lambda: supervisor.run(config, kernel))
    return {"pid": pid, "start_time": start_time(pid)}


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cellburst-zygote")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--owner-pid", type=int, required=True)
    parser.add_argument("--preload", default="")
    parser.add_argument("--layers", nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
