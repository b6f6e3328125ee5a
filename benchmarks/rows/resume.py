"""A session is stopped, which saves its state by value and lets its container go; then the next cell is timed until
its reply. Once the state is small, and once it holds 100 MB that the cell reads. Stopping is timed too.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.harness.contest import Contestant, Effort, contest, take
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.subject.cells import Remote, remote_cells
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime
from kernel_bridge.client.http import ControlPlane

SMALL, LARGE = "small state", "100 MB touched"
STOP_SMALL, STOP_LARGE = "stopping, small state", "stopping, 100 MB"
MB = 100


def measure(effort: Effort) -> Measured:
    """Measure."""
    image = plain_image("numpy")
    with (
        runtime() as plane,
        remote_cells(plane, notebook_spec(image)) as small,
        remote_cells(plane, notebook_spec(image)) as large,
    ):
        small.run("x = 1")
        large.run(f"import numpy; a = numpy.ones({MB * 1_000_000 // 8})")
        stops: dict[str, list[float]] = {STOP_SMALL: [], STOP_LARGE: []}
        contestants = [
            Contestant(SMALL, waking(small, "assert x == 1"), prepare=stopping(plane, small, stops[STOP_SMALL])),
            Contestant(LARGE, waking(large, "a[0] += a.sum()"), prepare=stopping(plane, large, stops[STOP_LARGE])),
        ]
        times = contest(contestants, runs=effort.times(15), limit_s=60)
    return Measured({**times, **stops})


def stopping(plane: ControlPlane, remote: Remote, into: list[float]) -> Callable[[], None]:
    """Return what stops a session and notes how long that took."""

    def stop() -> None:
        into.append(take(lambda: plane.stop_session(remote.info.id)))

    return stop


def waking(remote: Remote, code: str) -> Callable[[], None]:
    """Return what runs a session's next cell."""

    def run() -> None:
        remote.channel.wake()
        remote.wait()
        remote.run(code)

    return run


ROW = Row(
    title="Resume after idle",
    measure=measure,
    ours=(SMALL, LARGE, STOP_SMALL, STOP_LARGE),
    promises=(
        Promise(what="resume by value", contestant=SMALL, limit=150.0),
        Promise(what="resume by value, 100 MB touched: 150 ms + 2 ms a MB", contestant=LARGE, limit=150.0 + 2 * MB),
    ),
    memory_bytes=1 << 30,
)
