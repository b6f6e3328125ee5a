"""The cell prints a line and goes on for 0.4 s. Taken is the time from sending it until the line is here: what a
person who watches a long cell waits for. `%%px` is asked as its own client does, by looking whether output has
come.
"""

from __future__ import annotations

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.peers import ipyparallel
from benchmarks.peers.ipykernel import local_kernel
from benchmarks.subject.cells import remote_cells
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime

LOCAL, PX, OURS = "local ipykernel", "ipyparallel `%%px`", "through the control plane"
CODE = "import time\nprint('first')\ntime.sleep(0.4)"


def measure(effort: Effort) -> Measured:
    """Measure."""
    with (
        runtime() as plane,
        local_kernel() as local,
        ipyparallel.engine() as view,
        remote_cells(plane, notebook_spec(plain_image())) as remote,
    ):
        contestants = [
            Contestant(LOCAL, lambda: local.first_text(CODE), own_clock=True),
            Contestant(PX, lambda: ipyparallel.first_text(view, CODE), own_clock=True),
            Contestant(OURS, lambda: remote.first_text(CODE), own_clock=True),
        ]
        return Measured(contest(contestants, runs=effort.times(20), limit_s=45))


ROW = Row(
    title="The first printed line of a running cell",
    measure=measure,
    reference=LOCAL,
    ours=(OURS,),
    promises=(Promise(what="first printed line", contestant=OURS, limit=5.0),),
)
