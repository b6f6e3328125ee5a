"""A notebook that stands still (SIGSTOP) while a cell of its wants a name or a file of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.protocol.defaults import DEFAULTS
from tests.state.peers import Peer, another_notebook

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

_WHEN_IT_STANDS_STILL = "import time\ntime.sleep(5)\nbegan = time.monotonic()\n"


@pytest.fixture(scope="module")
def peer(shell: InteractiveShell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A notebook that can be stopped, on this one's runtime."""
    shell.run_cell("%%gpu cpu --quiet\npass")  # so that the runtime is up
    folder = tmp_path_factory.mktemp("silent")
    with another_notebook(folder) as opened:
        (folder / "data.csv").write_text("n\n1\n2\n")
        (folder / "apart").mkdir()
        (folder / "apart" / "more.csv").write_text("n\n3\n")
        opened.run("late = [1, 2]\ngone = [3]")
        answer = opened.run(
            "%%gpu cpu --quiet --session silent\nimport os\nnames = os.listdir('.') + os.listdir('apart')"
        )
        assert answer["ok"], answer
        yield opened


def test_a_file_that_is_not_answered_for_is_an_error(shell: InteractiveShell, peer: Peer) -> None:
    """Of the reader, within the time that the documentation tells; the rest of the cell runs, and the next reads it."""
    code = (
        "try:\n    open('data' + '.csv').read()\nexcept OSError as error:\n    why = str(error)\n"
        "took = time.monotonic() - began"
    )
    with standing_still(shell, peer, code, 5 + 2 * DEFAULTS.page_timeout_s):
        pass
    answer = peer.end()
    assert answer["ok"], answer
    why, took = peer.run("result = [why, took]")["result"]
    assert "did not answer" in why
    assert took < 2 * DEFAULTS.page_timeout_s
    assert peer.run("%%gpu cpu --quiet --session silent\nresult = open('data.csv').read()")["result"] == "n\n1\n2\n"


def test_a_name_is_waited_for_as_long_as_the_cell_may_run(shell: InteractiveShell, peer: Peer) -> None:
    """When the notebook goes on, so does the cell."""
    with standing_still(shell, peer, "result = eval('la' + 'te') + eval('go' + 'ne')", 8):
        pass
    answer = peer.end()
    assert answer["result"] == [1, 2, 3], answer


@contextmanager
def standing_still(shell: InteractiveShell, peer: Peer, code: str, seconds: float) -> Iterator[None]:
    """Have a cell begun and the notebook stopped, for so long or until the cell ended."""
    plane = shell.magics_manager.registry["GpuMagics"].sessions.control_plane()

    def is_busy() -> bool:
        return any(one.spec.name == "silent" and one.container_state == "busy" for one in plane.sessions())

    wait_until(lambda: not is_busy(), 60)  # with the cell before
    peer.begin(f"%%gpu cpu --quiet --session silent\n{_WHEN_IT_STANDS_STILL}{code}")
    assert wait_until(is_busy, 60), "the cell did not begin"
    os.kill(peer.process.pid, signal.SIGSTOP)
    try:
        yield
        wait_until(lambda: not is_busy(), seconds)
    finally:
        os.kill(peer.process.pid, signal.SIGCONT)


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Tell whether something happened in time."""
    deadline_s = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True
