"""What a notebook is told of a session in which a cell runs: a second thread or subshell of it may ask."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.errors import Conflict
from tests.state.waking import error_of, remotely

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


def test_the_status_does_not_wait_for_the_cell(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what was known when the cell before ended; the cell's own answer arrives where it is waited for."""
    remotely(shell, "import sqlite3\nconn = sqlite3.connect(':memory:')\nbig = list(range(1000))", "--leave big")
    capsys.readouterr()

    def ask() -> None:
        shell.run_line_magic("gpu_status", "")

    during_a_cell(shell, ask)
    said = capsys.readouterr().out
    assert "A100 simulated, busy" in said
    assert "cannot be saved, as of the last cell; lost at a stop or after the idle window:" in said
    assert "conn is a database connection" in said
    assert "remote values: big (list" in said
    assert shell.user_ns["n"] == 7
    shell.run_line_magic("gpu_status", "")
    assert "as of the last cell" not in capsys.readouterr().out


def test_a_second_cell_of_the_session_says_that_one_runs(shell: InteractiveShell) -> None:
    """It is refused in a line, as is a fetch; a session of its own would do; the first goes on."""
    remotely(shell, "far = [1, 2]", "--leave far")
    refused: list[BaseException | None] = []

    def ask() -> None:
        refused.append(error_of(shell.run_cell("%%gpu A100\nm = 1")))
        try:
            shell.user_ns["far"].fetch()
        except Conflict as error:
            refused.append(error)

    during_a_cell(shell, ask)
    assert [type(error) for error in refused] == [Conflict, Conflict]
    assert "another thread or subshell" in str(refused[0])
    assert shell.user_ns["n"] == 7
    assert shell.user_ns["far"].fetch() == [1, 2]
    remotely(shell, "m = 2")
    assert shell.user_ns["m"] == 2


def during_a_cell(shell: InteractiveShell, work: Callable[[], Any]) -> None:
    """Do something in another thread while a cell waits for input."""
    asked, done = threading.Event(), threading.Event()

    def answer(_prompt: str = "") -> str:
        asked.set()
        assert done.wait(60)
        return "7"

    def strike() -> None:
        assert asked.wait(60), "the cell did not begin"
        try:
            work()
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "input", answer)
        striking = pool.submit(strike)
        remotely(shell, "n = int(input())")
        striking.result(60)
