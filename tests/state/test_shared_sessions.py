"""Two notebooks that share a session by its name, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.errors import NotFound
from tests.state.peers import Peer, another_notebook
from tests.state.waking import remotely

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


@pytest.fixture
def peer(shell: InteractiveShell, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A second notebook; the session that both use is the test's own."""
    with another_notebook(tmp_path) as opened:
        opened.session = request.node.name
        yield opened
        opened.run(f"%gpu_reset {opened.session}")
    with contextlib.suppress(NotFound):  # the other had it last
        shell.run_line_magic("gpu_reset", opened.session)
    shell.run_line_magic("reset", "-f")


def test_names_of_one_are_there_for_the_other(shell: InteractiveShell, peer: Peer) -> None:
    """However often the session changes hands, and after a sleep; what each makes stays, and is its own at home."""
    here(shell, peer, "import numpy as np\nx = [1, 2]\nw = np.ones(10)\ndef size(): return len(x)")
    here(shell, peer, "big = np.ones(100)", "--leave big")
    assert there(peer, "y = size() + big.sum()\nprint(w.sum())") == "10.0\n"
    assert peer.run("result = [y, 'x' in globals(), 'w' in globals()]")["result"] == [102.0, False, False]
    here(shell, peer, "z = y + 1")  # the rest of its own names are not touched
    assert shell.user_ns["z"] == 103.0
    assert "y" not in shell.user_ns
    assert there(peer, "print(size(), w.sum(), big.sum(), z, x)") == "2 10.0 100.0 103.0 [1, 2]\n"
    here(shell, peer, "z = 0")
    peer.run(f"%gpu_stop {peer.session}")
    assert there(peer, "print(size(), w.sum(), big.sum(), y)") == "2 10.0 100.0 102.0\n"
    here(shell, peer, "everything = size(), float(w.sum()), float(big.sum()), y")
    assert shell.user_ns["everything"] == (2, 10.0, 100.0, 102.0)


def test_a_change_by_the_other_is_not_lost(
    shell: InteractiveShell, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The notebook that has the name goes on with its own value, and the one of the session is `name__remote`."""
    here(shell, peer, "x = [1]\nsame = [5]")
    there(peer, "x.append(2)\nprint(same)")
    capsys.readouterr()
    here(shell, peer, "x.append(3)\nprint(same)")
    assert "x was changed in the session meanwhile: that value is x__remote" in capsys.readouterr().out
    assert (shell.user_ns["x"], shell.user_ns["x__remote"]) == ([1, 3], [1, 2])
    assert "same__remote" not in shell.user_ns
    here(shell, peer, "x.append(4)")
    assert "meanwhile" not in capsys.readouterr().out


def test_each_has_its_own_of_one_name(shell: InteractiveShell, peer: Peer) -> None:
    """In its cells, and at home."""
    shell.user_ns["n"] = 1
    peer.run("n = 10")
    for turn in (1, 2):
        here(shell, peer, "n += 1")
        there(peer, "n += 1")
        assert shell.user_ns["n"] == 1 + turn
        assert peer.run("result = n")["result"] == 10 + turn


def test_what_the_cell_asks_for_is_answered_after_a_change_of_hands(shell: InteractiveShell, peer: Peer) -> None:
    """Names and packages that turn up while it runs come from the notebook that has the session now."""
    peer.run("found = [1]")
    shell.user_ns["found"] = [2]
    for _ in range(2):
        here(shell, peer, "seen = eval('fou' + 'nd')")
        assert shell.user_ns["seen"] == [2]
        assert there(peer, "print(eval('fou' + 'nd'))") == "[1]\n"
    answer = peer.run(f"%%gpu A100 --quiet --session {peer.session}\nundefined_name")
    assert answer["error"].startswith("NameError")


def test_status_tells_of_the_shared_session(
    shell: InteractiveShell, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name, with each notebook's own handles."""
    here(shell, peer, "big = list(range(100))", "--leave big")
    there(peer, "mine = list(range(10))", "--leave mine")
    status = peer.run("%gpu_status")["text"]
    assert f"({peer.session}): A100 simulated" in status
    assert "remote values: mine (list, " in status
    here(shell, peer, "pass")
    capsys.readouterr()
    shell.run_line_magic("gpu_status", "")
    said = capsys.readouterr().out
    assert "remote values: big (list, " in said
    assert "mine (list" not in said


def here(shell: InteractiveShell, peer: Peer, code: str, options: str = "") -> None:
    """Run a cell of this notebook in the shared session."""
    remotely(shell, code, f"--session {peer.session} {options}")


def there(peer: Peer, code: str, options: str = "") -> Any:
    """Run one of the other's; return what it showed."""
    answer = peer.run(f"%%gpu A100 --quiet --session {peer.session} {options}\n{code}")
    assert answer["ok"], answer
    return answer["text"]
