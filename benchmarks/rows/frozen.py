"""A session has run nothing for so long that it stands still; then its next cell, `x = 1`, is timed until its reply is
here. *Kept awake*: the same after the same pause in a session whose thread keeps it from being frozen. *Warm*: the same
right after another cell. For the row, sessions are frozen after 0.5 s. The time until then is not timed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.subject.cells import CellFailed, Remote, remote_cells
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime
from kernel_bridge.client.http import ControlPlane

FROZEN, AWAKE, WARM = "frozen", "kept awake", "warm"
AFTER_S: Final = 0.5
WITHIN_S: Final = 30.0
THREAD: Final = "import threading\nnever = threading.Event()\nthreading.Thread(target=never.wait, daemon=True).start()"


def measure(effort: Effort) -> Measured:
    """Measure."""
    os.environ["CELLBURST_FREEZE_AFTER_S"] = str(AFTER_S)  # of the runtime that starts now
    image = plain_image()
    with (
        runtime() as plane,
        remote_cells(plane, notebook_spec(image)) as still,
        remote_cells(plane, notebook_spec(image)) as awake,
        remote_cells(plane, notebook_spec(image)) as warm,
    ):
        awake.run(THREAD)
        contestants = [
            Contestant(FROZEN, still.run, prepare=standing_still(plane, still)),
            Contestant(AWAKE, awake.run, prepare=lambda: time.sleep(2 * AFTER_S)),
            Contestant(WARM, warm.run, prepare=warm.run),
        ]
        return Measured(contest(contestants, runs=effort.times(40, 5), limit_s=120))


def standing_still(plane: ControlPlane, remote: Remote) -> Callable[[], None]:
    """Return what waits until a session is frozen."""

    def wait() -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not plane.session(remote.info.id).frozen:
            if time.monotonic() > deadline_s:
                raise CellFailed("the session is not frozen: `cellburst runtime doctor` says whether this host can")
            time.sleep(0.05)

    return wait


ROW = Row(
    title="Resume of a session that stands still",
    measure=measure,
    reference=WARM,
    ours=(FROZEN, AWAKE, WARM),
    promises=(Promise(what="resume after idle, frozen", contestant=FROZEN, limit=8.0),),
)
