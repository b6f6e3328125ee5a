"""The footer's times: together they are the wall time, and what is charged is the container's part of it."""

from __future__ import annotations

import time

import pytest

from jupyter_ext.timing import Timing
from kernel_bridge.protocol.cells import CellReply
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.sessions import Notebook, SessionInfo, SessionSpec, SessionState

SPEC = SessionSpec(notebook=Notebook(kernel_id="k"), image=ImageRecipe())


def session(started_ago_s: float | None) -> SessionInfo:
    """Return a session whose container started so long ago."""
    at_s = None if started_ago_s is None else time.time() - started_ago_s
    return SessionInfo(id="ses_1", state=SessionState.OPEN, spec=SPEC, container_started_at_s=at_s)


def a_cell(*, waited: bool = False) -> Timing:
    """Return a cell that began 10 s ago, was sent after 4 s and answered a second ago."""
    now_s = time.perf_counter()
    return Timing(now_s - 10, now_s - 6, now_s - 1, waited)


def test_the_parts_are_the_wall_time() -> None:
    """What the container spent on preparing counts as before; finding and bringing changes as after."""
    timing, reply = a_cell(), CellReply(epoch="e", prepare_s=2.0, run_s=1.0)
    parts = (timing.before_s(reply), timing.run_s(reply), timing.after_s(reply))
    assert parts == pytest.approx((6.0, 1.0, 3.0), abs=0.1)


def test_a_reply_that_says_no_time_is_timed_from_here() -> None:
    """A cell whose process ended has no report of its own."""
    assert a_cell().run_s(CellReply(epoch="")) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("waited", "started_ago_s", "charged_s"),
    [(False, 500.0, 10.0), (True, 7.0, 7.0), (True, 500.0, 10.0), (True, -3.0, 0.0), (True, None, 10.0)],
    ids=["warm", "cold", "no longer than the cell", "another clock", "not known"],
)
def test_the_containers_time_is_charged(waited: bool, started_ago_s: float | None, charged_s: float) -> None:
    """From its start, or the cell's where it stood there already, to the footer."""
    assert a_cell(waited=waited).charged_s(session(started_ago_s)) == pytest.approx(charged_s, abs=0.1)
