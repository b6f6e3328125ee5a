"""Whatever is killed while a session falls asleep or wakes: what was saved before is whole and found again."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable

import pytest

from kernel_bridge.errors import CellburstError
from tests.journeys.broken import Notebook, kill, notebook, wait_for

__all__ = ["notebook"]

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

# Large enough that saving it takes a while, and different each time, so that it is written each time.
GROW = "import numpy as np\nmodel = np.full(30_000_000, len(before), dtype='f8')\nbefore.append(0)"
LEAVE = "%%gpu A100 --quiet --volume shelf:/shelf --leave model\n"


def asleep_and_awake(notebook: Notebook) -> None:
    """Have a first state saved, and another one in memory."""
    assert notebook.shell.run_cell(LEAVE + GROW).success
    stop(notebook)
    assert notebook.shell.run_cell(LEAVE + GROW + "\nimport os\nme = os.getpid()").success


def stop(notebook: Notebook) -> None:
    """Have the session hibernate, as far as it can."""
    with notebook.plane() as plane, contextlib.suppress(CellburstError):
        plane.stop_session(plane.sessions()[0].id)


def is_writing(notebook: Notebook) -> bool:
    """Tell whether a save is under way: a second folder beside the one that counts."""
    folders = [path for path in (notebook.folder / "data").glob("sessions/*/state/0*") if path.is_dir()]
    return len(folders) > 1


VICTIMS: dict[str, Callable[[Notebook], object]] = {
    "child": lambda notebook: kill(notebook.child()),
    "agent": lambda notebook: kill(notebook.agent()),
    "supervisor": lambda notebook: kill(notebook.supervisor()),
    "container": lambda notebook: kill(*notebook.container()),
    "control plane": lambda notebook: kill(notebook.runtime_pid()),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_while_it_saves(notebook: Notebook, victim: str) -> None:
    """The state is that of one hibernation or the other, or of the container that goes on; never half of it."""
    asleep_and_awake(notebook)
    target = VICTIMS[victim]

    def strike() -> None:
        wait_for(lambda: is_writing(notebook), "nothing was saved", every_s=0.001)
        target(notebook)

    striker = threading.Thread(target=strike)
    striker.start()
    stop(notebook)
    striker.join()
    result = notebook.run("first, same = float(model[0]), bool((model == model[0]).all())\nlength = len(before)")
    assert result.success, result.error_in_exec
    assert notebook.names["first"] in {1.0, 2.0}
    assert notebook.names["same"]
    assert notebook.names["before"] == [1, 0, 0]
    assert notebook.names["length"] == 3
    assert notebook.run("after = 2").success


@pytest.mark.parametrize("victim", ["agent", "supervisor", "container", "control plane"])
def test_killed_while_it_wakes(notebook: Notebook, victim: str) -> None:
    """A container that dies before its first cell has ended takes nothing with it."""
    assert notebook.shell.run_cell(LEAVE + GROW).success
    stop(notebook)
    target = VICTIMS[victim]

    def strike() -> None:
        with contextlib.suppress(ValueError):  # it may be up and the process be gone already
            wait_for(lambda: has_container(notebook), "nothing wakes", every_s=0.001)
            target(notebook)

    striker = threading.Thread(target=strike)
    striker.start()
    for _attempt in range(3):
        if notebook.run("first, same = float(model[0]), bool((model == model[0]).all())").success:
            break
    striker.join()
    result = notebook.run("first, same = float(model[0]), bool((model == model[0]).all())")
    assert result.success, result.error_in_exec
    assert (notebook.names["first"], notebook.names["same"]) == (1.0, True)


def has_container(notebook: Notebook) -> bool:
    """Tell whether a container's process runs."""
    with contextlib.suppress(ValueError):
        return bool(notebook.supervisor())
    return False


def test_the_process_dies_in_a_cell_after_waking(notebook: Notebook) -> None:
    """What was saved is what the next cell finds, and it is not lost by dying twice."""
    asleep_and_awake(notebook)
    for _ in range(2):
        assert not notebook.run(f"import os\nos.kill(os.getpid(), {int(signal.SIGKILL)})").success
    assert notebook.run("first = float(model[0])").success
    assert notebook.names["first"] == 1.0
