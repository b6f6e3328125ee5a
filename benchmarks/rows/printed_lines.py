"""A cell prints 100,000 numbers, once as it comes and once with `flush=True`, until all lines and the end are here.
Every line is counted: one that is lost fails the row. The limit is the same loop in a bare interpreter that writes
to a pipe, its start taken off.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.peers.ipykernel import local_kernel
from benchmarks.subject.cells import remote_cells
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime

LOCAL, OURS, PIPE = "local ipykernel", "through the control plane", "pipe"
LOCAL_FLUSH, OURS_FLUSH = "local ipykernel, flushed", "through the control plane, flushed"
LINES = 100_000


def measure(effort: Effort) -> Measured:
    """Measure."""
    lines = effort.times(LINES, 10_000)
    plain = f"for i in range({lines}): print(i)"
    flushed = f"for i in range({lines}): print(i, flush=True)"
    with (
        runtime() as plane,
        local_kernel() as local,
        remote_cells(plane, notebook_spec(plain_image())) as remote,
    ):
        contestants = [
            Contestant(LOCAL, whole(local, plain, lines)),
            Contestant(OURS, whole(remote, plain, lines)),
            Contestant(PIPE, lambda: through_pipe(plain, lines), own_clock=True),
        ]
        times = contest(contestants, runs=effort.times(7), limit_s=60)
        flushing = [Contestant(OURS_FLUSH, whole(remote, flushed, lines))]
        times |= contest(flushing, runs=effort.times(5), limit_s=60)
        slowest = [Contestant(LOCAL_FLUSH, whole(local, flushed, lines))]  # half a minute: once, and after the others
        times |= contest(slowest, runs=1, warm_up=0)
    return Measured(times, (f"{lines:,} lines; not one lost",))


def whole(kernel: Any, code: str, lines: int) -> Callable[[], None]:
    """Return what runs the cell and sees that every line came."""

    def run() -> None:
        kernel.count_lines(code)
        if kernel.lines != lines:
            raise RuntimeError(f"{kernel.lines} of {lines} lines arrived")

    return run


def through_pipe(code: str, lines: int) -> float:
    """Return how long an interpreter takes to print into a pipe, from its first byte on."""
    command = [sys.executable, "-S", "-E", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        found, began_s = process.stdout.read(1).count(b"\n"), time.perf_counter()
        while data := process.stdout.read(1 << 16):
            found += data.count(b"\n")
        took_s = time.perf_counter() - began_s
    if found != lines:
        raise RuntimeError(f"{found} of {lines} lines arrived")
    return took_s


ROW = Row(
    title="100,000 printed lines",
    measure=measure,
    reference=LOCAL,
    ours=(OURS, OURS_FLUSH),
    limits=(PIPE,),
    promises=(
        Promise(what="100,000 printed lines", contestant=OURS, limit=0.7, of=LOCAL),
        Promise(what="the same with `flush=True`", contestant=OURS_FLUSH, limit=0.05, of=LOCAL_FLUSH),
    ),
)
