"""20 notebooks at once on the process provider: 20 sessions opened and woken at the same moment, 20 containers forked,
20 kernels with numpy. Then all run `x = 1`, each twice a second (*cell*), and then as fast as they get answers
(*cell, no pause*). The reference is one session alone on the same runtime. On few cores the 20 starts share them,
so the slowest waits for the work of all.
"""

from __future__ import annotations

import asyncio
from typing import Final

from benchmarks.harness.contest import Effort, no_collection
from benchmarks.harness.row import Measured, Row
from benchmarks.load.clients import Times, bring_up, hang_up, run_cells
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.protocol.sessions import SessionSpec

ALONE, CELL, RUSH = "cell, one session alone", "cell, 20 sessions", "cell, 20 sessions, no pause"
UP_ALONE, OPEN, UP = "start of one alone", "opening a session, 20 at once", "start, 20 at once"
SESSIONS: Final = 20


def measure(effort: Effort) -> Measured:
    """Measure."""
    with runtime() as plane, no_collection():
        return asyncio.run(_load(plane, effort))


async def _load(plane: ControlPlane, effort: Effort) -> Measured:
    single, many, rush = Times(), Times(), Times()
    await hang_up(plane, await bring_up(plane, [_spec()], Times()))  # the zygote is warm from here on
    for _ in range(effort.times(10)):
        await hang_up(plane, await bring_up(plane, [_spec()], single))
    [alone] = await bring_up(plane, [_spec()], Times())
    await run_cells([alone], 30, 0, Times())
    await run_cells([alone], effort.times(400, 50), 0, single)
    clients = await bring_up(plane, [_spec() for _ in range(SESSIONS)], many)
    await run_cells(clients, 3, 0.2, Times())
    await run_cells(clients, effort.times(30, 5), 0.5, many)
    cells = effort.times(100, 10)
    took_s = await run_cells(clients, cells, 0, rush)
    await hang_up(plane, [alone, *clients])
    notes = (f"without pauses {SESSIONS * cells / took_s:,.0f} cells a second",)
    seconds = {ALONE: single.cells, CELL: many.cells, RUSH: rush.cells}
    return Measured({**seconds, UP_ALONE: single.up, OPEN: many.opened, UP: many.up}, notes)


def _spec() -> SessionSpec:
    return notebook_spec(plain_image("numpy"), gpu="cpu")


ROW = Row(
    title="20 sessions of the process provider",
    measure=measure,
    reference=ALONE,
    ours=(ALONE, CELL, RUSH, UP_ALONE, OPEN, UP),
)
