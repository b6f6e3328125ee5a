"""State back, where a thread of the notebook changed a value in place while a cell changed it too."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.waking import remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# (made here, done here by a thread while the cell waits, done there, here afterwards, name__remote)
ROWS = [
    ("v = [1]", "v.append('here')", "v.append('there')", [1, "here"], [1, "there"]),
    ("v = {'a': 1}", "v['b'] = 2", "v['c'] = 3", {"a": 1, "b": 2}, {"a": 1, "c": 3}),
    ("import numpy as np\nv = np.zeros(100_000)", "v[0] = 1", "v[1] = 2", 1.0, 2.0),
]


@pytest.fixture
def worker() -> Iterator[Any]:
    """A thread of the user's that runs on."""

    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool


@pytest.mark.parametrize(("here", "meanwhile", "there", "mine", "remote"), ROWS, ids=["list", "dict", "array"])
def test_both_are_kept(
    shell: InteractiveShell,
    worker: Any,
    capsys: pytest.CaptureFixture[str],
    here: str,
    meanwhile: str,
    there: str,
    mine: object,
    remote: object,
) -> None:
    """The object here stays as it is, the remote one is `name__remote`, one line says so, and the next cell works."""
    shell.run_cell(here)
    value = shell.user_ns["v"]
    remotely(shell, "len(v)")
    while_waiting(shell, worker, meanwhile, there)
    assert "v changed here too while the cell ran: the remote value is v__remote." in capsys.readouterr().out
    found = [shell.user_ns[name] for name in ("v", "v__remote")]
    assert shell.user_ns["v"] is value
    assert [float(each.sum()) if hasattr(each, "sum") else each for each in found] == [mine, remote]
    remotely(shell, "same = len(v), len(v__remote)")
    assert shell.user_ns["same"] == tuple(len(each) for each in found)


def test_what_only_one_side_changed_is_no_conflict(
    shell: InteractiveShell, worker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the cell leaves alone stays as the thread made it, and goes along with the next cell that reads it."""
    shell.run_cell("v, u = [1], [2]\nw = u")
    while_waiting(shell, worker, "v.append('here')", "len(v); u.append('there'); new = u")
    assert "changed here too" not in capsys.readouterr().out
    names = shell.user_ns
    assert (names["v"], names["u"]) == ([1, "here"], [2, "there"])
    assert names["new"] is names["u"] is names["w"]
    remotely(shell, "seen = list(v)")
    assert names["seen"] == [1, "here"]


def while_waiting(shell: InteractiveShell, worker: Any, meanwhile: str, there: str) -> None:
    """Run a cell that waits for input in its middle, and something here in a thread before it is given."""
    main = threading.current_thread()

    def answer(_prompt: str = "") -> str:
        assert threading.current_thread() is main
        worker.submit(exec, meanwhile, shell.user_ns).result(60)
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "input", answer)
        remotely(shell, f"_ = input()\n{there}")


def test_a_figure_that_nobody_touched_here_is_no_conflict(
    shell: InteractiveShell, worker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its pickle is another one each time, which says nothing about who changed it."""
    del worker
    shell.run_cell("import matplotlib; matplotlib.use('agg')")
    shell.run_cell("from matplotlib import pyplot\nfig, ax = pyplot.subplots()")
    remotely(shell, "_ = ax.plot([1, 2])")
    assert "changed here too" not in capsys.readouterr().out
    assert len(shell.user_ns["fig"].axes[0].lines) == 1
