"""A warm one-line cell: through the control plane, as a whole `%%gpu` cell, and in a local ipykernel, in one run.

Three ways, in five interleaved blocks of 60 cells each, so that whatever else the machine does meets all of them and
every way is measured warm:

local    execute_request to its execute_reply, jupyter_client's blocking client and a local ipykernel
relay    the same through channel, control plane, agent and kernel child, and back
magic    `run_cell_magic("gpu", ...)`: analysis, comparison of values, the relay, write-back

What is kept in benchmarks/results/warm_cell.json are medians, 99th percentiles and ratios to `local`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel

from kernel_bridge.client.buffers import boot_id
from kernel_bridge.client.channel import Channel
from kernel_bridge.client.embedded import ensure_runtime
from kernel_bridge.client.events import Event
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig
from kernel_bridge.protocol.cells import METADATA_KEY, CellRequest
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.messages import SHELL, Message, new_header
from kernel_bridge.protocol.notes import PeerUp, Refused
from kernel_bridge.protocol.sessions import Notebook, SessionSpec
from kernel_bridge.protocol.wire import to_wire

CODE: Final = "x = 1"
RESULTS: Final = Path(__file__).with_name("results") / "warm_cell.json"
PROMISE: Final = 0.6
START_S: Final = 300.0

Run = Callable[[], None]


def no_rest() -> None:
    """Do nothing between two turns."""


@dataclass(frozen=True)
class Way:
    """How a cell is run, and what clears up between two turns, outside the time taken."""

    run: Run
    rest: Run = no_rest


def main() -> int:
    """Measure, print, keep; fail when the relay misses the promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=300, help="cells of each way")
    parser.add_argument("--no-check", action="store_true", help="do not fail when the promise is missed")
    chosen = parser.parse_args()
    with own_runtime(), local_kernel() as local, relay() as through, magic() as whole:
        times = interleave({"local": local, "relay": through, "magic": whole}, chosen.cells)
    found = {name: figures(measured, times["local"]) for name, measured in times.items()}
    for name, figure in found.items():
        took = f"median {figure['median_ms']:7.3f} ms   p99 {figure['p99_ms']:7.3f} ms"
        print(f"{name:<6} {took}   {figure['ratio']:.3f} of local")
    keep(found, chosen.cells)
    return int(found["relay"]["ratio"] > PROMISE and not chosen.no_check)


def interleave(ways: dict[str, Way], cells: int, warm_up: int = 30, batch: int = 60) -> dict[str, list[float]]:
    """Time each way in turns, a few cells a turn; return seconds."""
    for way in ways.values():
        for _ in range(warm_up):
            way.run()
    times: dict[str, list[float]] = {name: [] for name in ways}
    while len(times["local"]) < cells:
        for name, way in ways.items():
            for _ in range(batch):
                started = time.perf_counter()
                way.run()
                times[name].append(time.perf_counter() - started)
            way.rest()
    return times


def figures(measured: list[float], local: list[float]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds, and the ratio of medians to the local kernel's."""
    return {
        "median_ms": round(statistics.median(measured) * 1000, 4),
        "p99_ms": round(statistics.quantiles(measured, n=100)[-1] * 1000, 4),
        "ratio": round(statistics.median(measured) / statistics.median(local), 4),
    }


def keep(found: dict[str, dict[str, float]], cells: int) -> None:
    """Write the figures and what they were taken on."""
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"cells": cells, "code": CODE, "machine": machine, "ways": found}, indent=2) + "\n")


@contextmanager
def own_runtime() -> Iterator[None]:
    """Point this process at an embedded runtime of its own and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="cellburst-bench-", ignore_cleanup_errors=True) as base:
        folders = {name: f"{base}/{name[10:-4].lower()}" for name in
                   ("CELLBURST_CONFIG_DIR", "CELLBURST_DATA_DIR", "CELLBURST_RUNTIME_DIR")}  # fmt: skip
        os.environ.update(folders, CELLBURST_SIMULATE_GPUS="A100:2")
        try:
            yield
        finally:
            subprocess.run([sys.executable, "-P", "-m", "kernel_bridge.cli.main", "runtime", "stop"], check=False)


@contextmanager
def local_kernel() -> Iterator[Way]:
    """Start a stock ipykernel; yield what runs one cell in it."""
    manager, client = start_new_kernel(kernel_name="python3")

    def run() -> None:
        sent = client.execute(CODE)
        while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != sent:
            pass

    try:
        yield Way(run, lambda: drain(client))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def drain(client: Any) -> None:
    """Throw away what the cell published, so that it does not pile up."""
    while client.iopub_channel.msg_ready():
        client.get_iopub_msg(timeout=1)


@contextmanager
def relay() -> Iterator[Way]:
    """Open a session on the embedded runtime; yield what runs one cell through its channel."""
    address = ensure_runtime(ClientConfig.load())
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    notebook = Notebook(
        kernel_id="benchmark", directory=tempfile.gettempdir(), boot_id=boot_id(), pid=os.getpid(), python=python
    )
    plane = ControlPlane(address)
    session = plane.open_session(SessionSpec(notebook=notebook, image=ImageRecipe(python=python), gpu="A100"))
    channel = Channel(plane, session.id).start()
    channel.wake()
    epoch = wait_for_peer(channel)

    def run() -> None:
        header = new_header("execute_request", "benchmark")
        content = {"code": CODE, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        metadata = {METADATA_KEY: to_wire(CellRequest(epoch=epoch))}
        channel.send(Message(SHELL, header, metadata=metadata, content=content))
        wait_for_reply(channel, header["msg_id"])

    try:
        yield Way(run)
    finally:
        channel.goodbye()
        plane.close()


def wait_for_peer(channel: Channel) -> str:
    """Wait until the container answers; return the name of its namespace."""
    while True:
        event: Event = channel.events.get(timeout=START_S)
        if isinstance(event, PeerUp):
            return event.epoch
        if isinstance(event, Refused):
            raise SystemExit(f"{event.code}: {event.detail}")


def wait_for_reply(channel: Channel, sent: str) -> None:
    """Wait for the cell's execute_reply."""
    while True:
        try:
            event = channel.events.get(timeout=60)
        except queue.Empty:
            raise SystemExit("The cell got no reply.") from None
        if isinstance(event, Message) and event.type == "execute_reply" and event.parent_id == sent:
            if event.content.get("status") != "ok":
                raise SystemExit(f"The cell failed: {event.content}")
            return


@contextmanager
def magic() -> Iterator[Way]:
    """Load the extension into a shell of this process; yield what runs one whole `%%gpu` cell."""
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "cellburst")

    def run() -> None:
        shell.run_cell_magic("gpu", "A100 --quiet", CODE)

    try:
        yield Way(run)
    finally:
        shell.run_line_magic("unload_ext", "cellburst")  # else its channel would start the runtime again


if __name__ == "__main__":
    sys.exit(main())
