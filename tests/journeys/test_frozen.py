"""A session that idles stands still: the next cell finds everything, and who dies meanwhile leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remote_runtime.providers.cgroup_layout import detect
from tests.journeys.broken import Notebook, in_folder, is_gone, kill, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's"),
    pytest.mark.skipif(
        not any(hierarchy.unified for hierarchy in detect()),
        reason="this user may make no groups of version 2 on this host, and version 1 is not used for freezing",
    ),
]

ENDS = {
    "agent": lambda notebook: kill(notebook.agent()),
    "supervisor": lambda notebook: kill(notebook.supervisor()),
    "container": lambda notebook: kill(*notebook.container()),
    "supervisor and control plane": lambda notebook: kill(notebook.supervisor(), notebook.runtime_pid()),
}


@pytest.fixture(scope="module", params=["on", "off"], ids=["walls", "no walls"])
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """One notebook for all rows, with and without walls: without, processes have nobody who ends with them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBURST_FREEZE_AFTER_S", "0.3")
        patch.setenv("CELLBURST_SANDBOX", request.param)
        patch.setattr(Notebook, "run", run_without_volume)  # which takes walls to be shown
        with in_folder(tmp_path_factory.mktemp("frozen"), patch) as made:
            yield made


@pytest.fixture
def notebook(lasting: Notebook) -> Notebook:
    """The notebook with a container that is frozen, and a file of the notebook's folder shown in it."""
    Path("shown.txt").write_text("shown")
    lasting.names["before"] = [1]
    assert lasting.run("import os\nme = os.getpid()\nbefore.append(2)\nfar = [before]\nlisted = os.listdir()").success
    wait_for(lambda: is_frozen(lasting), "it is not frozen")
    return lasting


def test_the_next_cell_is_as_if_nothing_had_been(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """Its state is whole, the status says that it was frozen, and the file that is not there yet comes when opened."""
    capsys.readouterr()
    notebook.shell.run_line_magic("gpu_status", "")
    assert ", frozen" in capsys.readouterr().out
    assert notebook.run("before.append(3)\nsame = far[0] is before\ntext = open('shown.txt').read()").success
    assert (notebook.names["before"], notebook.names["same"], notebook.names["text"]) == ([1, 2, 3], True, "shown")


def test_a_stop_saves_it(notebook: Notebook) -> None:
    """The state is saved from where it stands, and the next cell wakes it."""
    processes = notebook.container()
    notebook.shell.run_line_magic("gpu_stop", "")
    assert all(map(is_gone, processes))
    assert notebook.run("before.append(3)\nsame = far[0] is before").success
    assert (notebook.names["before"], notebook.names["same"]) == ([1, 2, 3], True)


@pytest.mark.parametrize("end", ENDS)
def test_who_dies_leaves_nothing_behind(notebook: Notebook, end: str) -> None:
    """No process that stands still is left, and the next cell works."""
    processes = notebook.container()
    strike: Callable[[Notebook], object] = ENDS[end]
    strike(notebook)
    with notebook.plane():
        wait_for(lambda: all(map(is_gone, processes)), "a process is left")
    assert notebook.run("before.append(3)").success
    assert notebook.names["before"] == [1, 2, 3]


def test_a_killed_child_is_replaced_by_one_that_runs(notebook: Notebook) -> None:
    """The group it stood still in is the next one's."""
    kill(notebook.child())
    wait_for(lambda: notebook.run("before.append(3)").success, "no cell runs")
    assert notebook.names["before"][:3] == [1, 2, 3]


def test_a_killed_control_plane_finds_it_again(notebook: Notebook) -> None:
    """The next one adopts the container as it is."""
    supervisor = notebook.supervisor()
    kill(notebook.runtime_pid())
    assert notebook.run("before.append(3)\nsame = far[0] is before").success
    assert (notebook.names["before"], notebook.names["same"]) == ([1, 2, 3], True)
    assert notebook.supervisor() == supervisor


def test_it_sleeps_when_its_time_has_come(notebook: Notebook) -> None:
    """The end of the idle window saves what stands still."""
    assert notebook.shell.run_cell("%%gpu A100 --quiet --session naps --idle 1s\nnapped = [1]").success
    with notebook.plane() as plane:
        [nap] = [one.id for one in plane.sessions() if one.spec.name == "naps"]
        wait_for(lambda: plane.session(nap).state == "hibernated", "it does not sleep")
        assert "napped" in plane.session(nap).kept_names
        plane.reset_session(nap)


def run_without_volume(notebook: Notebook, code: str) -> Any:
    """Run a `%%gpu` cell; returns IPython's result."""
    return notebook.shell.run_cell(f"%%gpu A100 --quiet\n{code}")


def is_frozen(notebook: Notebook) -> bool:
    """Tell whether the control plane says so of the container."""
    with notebook.plane() as plane:
        return any(session.frozen for session in plane.sessions())
