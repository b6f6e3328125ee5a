"""The time of day is set under a control plane that runs: a library between it and the clock says another time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.broken import PRINTED, Fault, Notebook, in_folder, suffer, wait_for

_FOUND = sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux" or not _FOUND, reason="needs the package faketime"),
]

DAY_S, HOUR_S = 86_400, 3_600
ROUNDS_S = 2.5  # in which the control plane has looked at what runs, more than once

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
    """A notebook whose control plane, and nothing else, asks the library for the time of day."""
    with pytest.MonkeyPatch.context() as lasting, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(_FOUND[0]))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(tmp_path / "clock"))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
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
            assert plane.session(session.id).container_id == session.container_id
        assert notebook.run("after = 2").success
        assert plane.stop_session(session.id).state == "hibernated"
        entries = plane.usage().entries
    passed_s = time.monotonic() - began_s
    used_s = {(entry.resource, entry.use): entry.duration_ms / 1000 for entry in entries}
    assert all(seconds >= 0 for seconds in used_s.values())
    assert used_s["cpu", "active"] >= 3
    assert 3 + 3 * ROUNDS_S <= used_s["cpu", "active"] + used_s["cpu", "idle"] <= passed_s + 10
