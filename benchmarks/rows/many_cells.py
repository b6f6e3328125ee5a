"""The cell `x = 1` through the control plane in two sessions that take turns: one that has just begun, and one that has
run 2,000 cells before. A session that ran all day must not be slower than a new one.
"""

from __future__ import annotations

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.subject.cells import remote_cells
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime

YOUNG, OLD = "a session that has just begun", "after 2,000 cells"


def measure(effort: Effort) -> Measured:
    """Measure."""
    with (
        runtime() as plane,
        remote_cells(plane, notebook_spec(plain_image())) as old,
        remote_cells(plane, notebook_spec(plain_image())) as young,
    ):
        for _ in range(effort.times(2000, 200)):
            old.run()
        contestants = [Contestant(YOUNG, young.run), Contestant(OLD, old.run)]
        return Measured(contest(contestants, runs=effort.times(200, 40), batch=20, warm_up=30, limit_s=30))


ROW = Row(
    title="The two thousandth cell",
    measure=measure,
    reference=YOUNG,
    ours=(YOUNG, OLD),
    promises=(Promise(what="a cell late in a session", contestant=OLD, limit=1.25, of=YOUNG),),
)
