"""State back, however the cell ends: after an exception, an interrupt or a timeout, and beside a change made here."""

from __future__ import annotations

import re
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from kernel_bridge.capture.handle import Handle
from tests.state.table import Case, failures_here, run_remotely

pytestmark = pytest.mark.timeout(120)

_OWN_ERROR = (
    "class Broken(ValueError):\n  def __init__(self, what, items):\n"
    "    super().__init__(what)\n    self.items = items\n"
)

CASES = [
    Case(
        id="W8 what came before the raise",
        here="l = [1]\nk = l",
        there="l.append(2)\nfresh = 3\n1/0\nl.append(9)",
        raises="ZeroDivisionError",
        after="k == [1, 2] and k is l and fresh == 3",
    ),
    Case(
        id="W8 deep in a function",
        here="total = 0\ndef step(i):\n  global total\n  total += i\n  if i == 2: raise KeyError(i)",
        there="for i in range(5): step(i)",
        raises="KeyError",
        after="total == 3 and i == 2",
    ),
    Case(
        id="W8 in a loop over a dict",
        here="d = {}",
        there="for i in range(5):\n  d[i] = 10 // (3 - i)",
        raises="ZeroDivisionError",
        after="d == {0: 3, 1: 5, 2: 10}",
    ),
    Case(
        id="W8 an array half written",
        here="import numpy as np\nx = np.zeros(5)\ny = x",
        there="x[:2] = 1\nx[99] = 1",
        raises="IndexError",
        after="y is x and x.tolist() == [1, 1, 0, 0, 0]",
    ),
    Case(
        id="W8 an assertion",
        here="a = [1]",
        there="a.clear()\nassert a, 'empty'",
        raises="AssertionError",
        after="a == []",
    ),
    Case(
        id="W8 a deletion before the raise",
        here="gone = 1",
        there="del gone\nraise RuntimeError",
        raises="RuntimeError",
        after="'gone' not in globals()",
    ),
    Case(
        id="W8 a class of the notebook's",
        here=_OWN_ERROR + "items = [1]",
        there="items.append(2)\nraise Broken('b', items)",
        raises="Broken",
        after="items == [1, 2]",
    ),
    Case(
        id="W8 a class made there",
        there=_OWN_ERROR.replace("Broken", "Made") + "raise Made('m', [])",
        raises="Made",
        after="issubclass(Made, ValueError)",
    ),
    Case(
        id="W8 an exception kept under a name",
        there="try:\n  1/0\nexcept ZeroDivisionError as e:\n  kept = e",
        after="type(kept) is ZeroDivisionError and kept.args == ('division by zero',)",
    ),
    Case(
        id="W8 an exception that came from another",
        there="try:\n  try: {}['k']\n  except KeyError as e: raise ValueError('v') from e\n"
        "except ValueError as e: kept = e",
        after="kept.args == ('v',) and kept.__suppress_context__ and repr(kept.__cause__) == \"KeyError('k')\" "
        "and kept.__context__ is kept.__cause__",
    ),
    Case(
        id="W8 a cause given to one that is here",
        here="late = ValueError('v')\nwas = late",
        there="late.__cause__ = OSError(2, 'no')",
        after="was is late and late.__cause__.errno == 2 and late.__suppress_context__",
    ),
    Case(
        id="W8 a cause that cannot travel stays, the exception travels",
        there="import threading\ntry:\n  try: raise KeyError(threading.Thread())\n"
        "  except KeyError: raise ValueError('v')\nexcept ValueError as error: caused = error",
        after="caused.args == ('v',) and caused.__context__ is None",
        here_differs="what an exception holds must not keep the next one away",
    ),
    Case(
        id="W8 a group of exceptions",
        there="raise ExceptionGroup('g', [ValueError(1), KeyError(2)])",
        raises="ExceptionGroup",
        after="True",
    ),
    Case(
        id="W8 an exception with a note",
        there="try: 1/0\nexcept ZeroDivisionError as e:\n  e.add_note('n')\n  kept = e",
        after="kept.__notes__ == ['n']",
    ),
    Case(
        id="W8 sys.exit",
        here="a = [1]",
        there="a.append(2)\nraise SystemExit(3)",
        raises="SystemExit",
        after="a == [1, 2]",
    ),
    Case(
        id="W8 a syntax error inside exec",
        here="a = [1]",
        there="a.append(2)\nexec('1 +')",
        raises="SyntaxError",
        after="a == [1, 2]",
    ),
    Case(
        id="W8 StopIteration",
        here="it = iter([])\na = []",
        there="a.append(1)\nnext(it)",
        raises="StopIteration",
        after="a == [1]",
    ),
    Case(
        id="W8 finally and with",
        here="a = []\nimport contextlib",
        there="with contextlib.ExitStack() as s:\n  s.callback(a.append, 'closed')\n"
        "  try: raise OSError(2, 'no')\n  finally: a.append('finally')",
        raises="FileNotFoundError",
        after="a == ['finally', 'closed']",
    ),
    Case(
        id="W8 an awaited coroutine that raises",
        here="a = []",
        there="import asyncio\nasync def f():\n  a.append(1)\n  await asyncio.sleep(0)\n  raise LookupError\nawait f()",
        raises="LookupError",
        after="a == [1]",
    ),
    Case(id="W8 and the next cell goes on", here="a = [1]", there="a.append(2)", after="a == [1, 2]"),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


def test_the_exception_is_an_object_with_what_it_holds(shell: InteractiveShell) -> None:
    """Its class is the notebook's, and what it refers to is what the names here refer to."""
    shell.run_cell(_OWN_ERROR + "items = [1]").raise_error()
    error = shell.run_cell("%%gpu A100\nitems.append(2)\nraise Broken('b', items)").error_in_exec
    assert type(error) is shell.user_ns["Broken"]
    assert error.items is shell.user_ns["items"]  # type: ignore[union-attr]
    assert error.args == ("b",)  # type: ignore[union-attr]


def test_the_exception_shows_the_lines_of_the_cell(shell: InteractiveShell) -> None:
    """Remote frames are there with their source, and none of ours."""
    with capture_output() as shown:
        shell.run_cell("def inner(): return 1 / 0")
        shell.run_cell("%%gpu A100\nmarked = 1\ninner()  # the line that calls")
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.stdout)
    assert "the line that calls" in text
    assert "def inner(): return 1 / 0" in text
    assert "kernel_bridge" not in text


def test_an_exception_that_cannot_travel_is_raised_by_name(shell: InteractiveShell) -> None:
    """The changes come home all the same."""
    shell.run_cell("a = []").raise_error()
    code = "import threading\nclass Held(Exception): pass\na.append(1)\ne = Held('h')\n"
    code += "e.lock = threading.Thread()\nraise e"
    error = shell.run_cell(f"%%gpu A100\n{code}").error_in_exec
    assert type(error).__name__ == "Held"
    assert str(error) == "h"
    assert shell.user_ns["a"] == [1]


@pytest.fixture
def answered(shell: InteractiveShell) -> Any:
    """Let a cell's `input()` be answered by code that runs here meanwhile."""

    def answer_with(code: str) -> None:
        def answer(_prompt: str = "") -> str:
            exec(code, shell.user_ns)
            return "yes"

        patch.setattr("builtins.input", answer)

    with pytest.MonkeyPatch.context() as patch:
        yield answer_with


def test_an_interrupted_cell_brings_home_what_it_did(shell: InteractiveShell, answered: Any) -> None:
    """The session lives on, with what was made there."""
    shell.run_cell("l = [1]; k = l").raise_error()
    cell = "%%gpu A100\nimport time\nl.append(2)\nhalf = 'done'\ninput()\n"
    cell += "for _ in range(6000): time.sleep(0.01)\nl.append(3)"
    answered("import os, signal, threading; threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()")
    assert isinstance(shell.run_cell(cell).error_in_exec, KeyboardInterrupt)
    assert shell.user_ns["k"] == [1, 2]
    assert shell.user_ns["half"] == "done"
    shell.run_cell("%%gpu A100\nl.append(half)").raise_error()
    assert shell.user_ns["k"] == [1, 2, "done"]


def test_a_cell_that_ran_too_long_brings_home_what_it_did(shell: InteractiveShell) -> None:
    """The error says the limit."""
    shell.run_cell("l = [1]; k = l").raise_error()
    cell = "%%gpu A100 --timeout 1s\nimport time\nl.append(2)\nfor _ in range(6000): time.sleep(0.01)"
    error = shell.run_cell(cell).error_in_exec
    assert type(error).__name__ == "CellTimeoutError"
    assert shell.user_ns["k"] == [1, 2]
    shell.run_cell("%%gpu A100\nl.append(3)").raise_error()
    assert shell.user_ns["k"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("here", "there", "kept", "remote"),
    [
        ("a = [1]", "a.append(input())", "mine", [1, "yes"]),
        ("a = [1]", "a = input()", "mine", "yes"),
        ("globals().pop('a', None)", "a = input()", "mine", "yes"),
    ],
    ids=["W10 changed in place there", "W10 rebound there", "W10 new on both sides"],
)
def test_a_name_bound_here_meanwhile_is_kept(
    shell: InteractiveShell, answered: Any, here: str, there: str, kept: object, remote: object
) -> None:
    """Both values are there, and one line says which is which."""
    shell.run_cell(here).raise_error()
    answered("a = 'mine'")
    with capture_output() as shown:
        shell.run_cell(f"%%gpu A100\n{there}").raise_error()
    assert shell.user_ns["a"] == kept
    assert shell.user_ns["a__remote"] == remote
    assert "the remote value is a__remote" in shown.stdout
    shell.run_cell("%%gpu A100\nb = (a, a__remote)").raise_error()
    assert shell.user_ns["b"] == (kept, remote)


def test_a_name_deleted_there_and_bound_here_is_kept(shell: InteractiveShell, answered: Any) -> None:
    """Nothing of the notebook's is lost to a deletion."""
    shell.run_cell("a = [1]").raise_error()
    answered("a = 'mine'")
    with capture_output() as shown:
        shell.run_cell("%%gpu A100\na.append(input())\ndel a").raise_error()
    assert shell.user_ns["a"] == "mine"
    assert "kept" in shown.stdout


def test_a_handle_does_not_take_the_place_of_what_was_bound_here(shell: InteractiveShell, answered: Any) -> None:
    """What cannot come home has a name of its own then."""
    shell.run_cell("a = [1]").raise_error()
    answered("a = 'mine'")
    shell.run_cell("%%gpu A100\na = (i for i in input())").raise_error()
    assert shell.user_ns["a"] == "mine"
    assert type(shell.user_ns["a__remote"]) is Handle


def test_what_a_value_that_stayed_shares_is_one_thing_on_both_sides(shell: InteractiveShell) -> None:
    """W9: a cell that names the handle alone sees what was changed here, and what it changes comes home."""
    shell.run_cell("steps = []\nsame = steps").raise_error()
    cell = "class Run: pass\nrun = Run()\nrun.gen, run.steps, run.late = (i for i in 'ab'), steps, []"
    shell.run_cell(f"%%gpu A100\n{cell}").raise_error()
    shell.run_cell("steps.append('here')").raise_error()
    shell.run_cell("%%gpu A100\nrun.steps.append('there')").raise_error()
    assert shell.user_ns["steps"] == ["here", "there"]
    assert shell.user_ns["steps"] is shell.user_ns["same"]
    shell.run_cell("%%gpu A100\nrun.new = []\nnew, late = run.new, run.late").raise_error()
    shell.run_cell("%%gpu A100\nrun.new.append(1)\nrun.late.append(2)").raise_error()
    assert (shell.user_ns["new"], shell.user_ns["late"]) == ([1], [2])


def test_an_alias_of_a_name_bound_anew_keeps_what_was_changed_here(shell: InteractiveShell) -> None:
    """W9: the cell did not reach it."""
    shell.run_cell("one = other = []").raise_error()
    shell.run_cell("%%gpu A100\nseen = one, other").raise_error()
    shell.run_cell("other.append(1)").raise_error()
    shell.run_cell("%%gpu A100\none = 5").raise_error()
    assert (shell.user_ns["one"], shell.user_ns["other"]) == (5, [1])
