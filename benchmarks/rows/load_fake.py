"""200 notebooks at once against a real control plane whose containers are the tests' fake provider: every session is
opened, woken and connected at the same moment, by the real protocol over real websockets, and its fake agent
answers each cell at once. Then all run cells, each a little less than one a second (*cell*, 200 cells a second in
all), and then as fast as they get answers (*cell, no pause*: a queue). Control plane, agents and notebooks are a
process each. The reference is one session alone on the same control plane.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.contest import Effort, no_collection
from benchmarks.harness.row import ROOT, Measured, Row
from benchmarks.load.clients import Times, bring_up, hang_up, run_cells
from benchmarks.subject.runtime import notebook_spec, plain_image
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import Address

ALONE, CELL, RUSH = "cell, one session alone", "cell, 200 sessions", "cell, 200 sessions, no pause"
OPEN, UP = "opening a session, 200 at once", "until its container answers, 200 at once"
SESSIONS: Final = 200


def measure(effort: Effort) -> Measured:
    """Measure."""
    with fake_plane(SESSIONS + 1) as plane, no_collection():
        return asyncio.run(_load(plane, effort))


async def _load(plane: ControlPlane, effort: Effort) -> Measured:
    alone, many, rush = Times(), Times(), Times()
    [single] = await bring_up(plane, [notebook_spec(plain_image())], Times())
    await run_cells([single], 20, 0, Times())
    await run_cells([single], effort.times(400, 50), 0, alone)
    clients = await bring_up(plane, [notebook_spec(plain_image()) for _ in range(SESSIONS)], many)
    await run_cells(clients, effort.times(15, 2), 1.0, many)
    cells = effort.times(25, 2)
    took_s = await run_cells(clients, cells, 0, rush)
    await hang_up(plane, [single, *clients])
    notes = (f"without pauses {SESSIONS * cells / took_s:,.0f} cells a second",)
    return Measured({ALONE: alone.cells, CELL: many.cells, RUSH: rush.cells, OPEN: many.opened, UP: many.up}, notes)


@contextmanager
def fake_plane(cards: int) -> Iterator[ControlPlane]:
    """Start the control plane; yield its routes."""
    with tempfile.TemporaryDirectory(prefix="cb", ignore_cleanup_errors=True) as folder:
        token = "cb_" + secrets.token_urlsafe(32)
        Path(folder, "token").write_text(token)
        command = [sys.executable, "-m", "benchmarks.load.fake_plane", "--folder", folder, "--cards", str(cards)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                path = process.stdout.readline().strip()
                if not path:
                    raise RuntimeError("the control plane did not start")
                with ControlPlane(Address(url="http://localhost", token=token, socket=path)) as plane:
                    yield plane
            finally:
                process.terminate()


ROW = Row(
    title="200 sessions of the fake provider",
    measure=measure,
    reference=ALONE,
    ours=(ALONE, CELL, RUSH, OPEN, UP),
)
