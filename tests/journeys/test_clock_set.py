"""The time of day is set under a control plane that runs: what Python asks for it says another time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.broken import PRINTED, Fault, Notebook, in_folder, suffer, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

DAY_S, HOUR_S = 86_400, 3_600
ROUNDS_S = 2.5  # in which the control plane has looked at what runs, more than once

# Python runs it before anything else, where it lies on PYTHONPATH. (Debian's `faketime` would do it a layer below, but
# its 0.9.10 lets every `time.sleep` of a process whose monotonic clock is left alone fail with EINVAL.)
_SITECUSTOMIZE = """\
import time
from pathlib import Path

_true, _offset = time.time, Path({offset!r})
time.time = lambda: _true() + int(_offset.read_text())
"""

Set = Callable[[int], None]


@pytest.fixture
def set_clock(tmp_path: Path) -> Set:
    """Set the control plane's time of day, so many seconds from the true one. It reads how many from a file."""
    file = tmp_path / "clock"

    def set_to(offset_s: int) -> None:
        new = file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}")
        new.replace(file)

    set_to(0)
    return set_to


@pytest.fixture
def notebook(set_clock: Set, tmp_path: Path) -> Iterator[Notebook]:
    """A notebook whose control plane, and nothing else, is told another time of day."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(offset=str(tmp_path / "clock")))
    with pytest.MonkeyPatch.context() as lasting, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path / "library"), prepend=os.pathsep)
        with in_folder(tmp_path, lasting) as made:
            patch.undo()
            yield made


def test_a_clock_that_is_set_costs_nothing(
    notebook: Notebook, set_clock: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day forward, an hour back, while a cell runs and while none does: nothing ends, and the bill is what passed."""
    began_s = time.monotonic()

    def jump(_notebook: Notebook) -> None:
        for offset_s in (DAY_S, -HOUR_S):
            set_clock(offset_s)
            time.sleep(1)

    outcome = suffer(notebook, Fault("clock", jump), capsys)
    assert outcome.result.success
    assert outcome.printed == PRINTED
    with notebook.plane() as plane:
        [session] = plane.sessions()
        wait_for(lambda: plane.session(session.id).container_state == "idle", "it does not idle")
        for offset_s in (DAY_S, -HOUR_S, 0):
            set_clock(offset_s)
            time.sleep(ROUNDS_S)
            now = plane.session(session.id)
            assert now.container_id == session.container_id
            assert (now.idle_since_s or 0) - time.time() == pytest.approx(offset_s, abs=60)  # the plane believes it
        assert notebook.run("after = 2").success
        assert plane.stop_session(session.id).state == "hibernated"
        entries = plane.usage().entries
    passed_s = time.monotonic() - began_s
    used_s = {(entry.resource, entry.use): entry.duration_ms / 1000 for entry in entries}
    assert all(seconds >= 0 for seconds in used_s.values())
    assert used_s["cpu", "active"] >= 3
    assert 3 + 3 * ROUNDS_S <= used_s["cpu", "active"] + used_s["cpu", "idle"] <= passed_s + 10
