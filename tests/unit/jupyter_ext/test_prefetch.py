"""What a cell is found to need, before anything is started."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ext.arguments import CellOptions
from jupyter_ext.failures import RemoteError
from jupyter_ext.prefetch import CapturedCell, capture
from kernel_bridge.errors import BadOption, CredentialHeldBack

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def captured(shell: Any, code: str, **options: Any) -> CapturedCell:
    return capture(shell, code, CellOptions(**options))


def test_names_are_found_through_functions(shell: Any) -> None:
    """What a function of the notebook reads travels with it."""
    shell.run_cell("k = 2\nunused = 3\ndef f(): return k").raise_error()
    cell = captured(shell, "y = f()\nmissing")
    assert set(cell.names) == {"f", "k"}
    assert cell.needed == {"f"}
    assert not cell.dynamic


def test_a_cell_that_may_read_any_name_takes_what_it_can(shell: Any) -> None:
    """Except what looks like a credential: that waits to be asked for."""
    shell.run_cell(f"a = 1\nb = 2\ntoken = '{TOKEN}'").raise_error()
    cell = captured(shell, "eval('a')")
    assert cell.dynamic
    assert set(cell.perhaps) == {"a", "b"}


def test_magics_and_shell_commands_are_read_too(shell: Any) -> None:
    """`$name` in a command is a read."""
    shell.run_cell("word = 'x'\nn = 3").raise_error()
    assert set(captured(shell, "!echo $word\n%time n + 1").names) == {"word", "n"}


def test_earlier_outputs_travel_when_the_cell_says_them(shell: Any) -> None:
    """`_` and `Out` are IPython's own names, and so is `In`."""
    shell.run_cell("41 + 1", store_history=True).raise_error()
    assert set(captured(shell, "_ + 1").names) == {"_"}
    assert captured(shell, "get_ipython()").names == ()


def test_a_credential_stops_the_cell(shell: Any) -> None:
    """Nothing is shipped; `--in` says that it is meant."""
    shell.run_cell(f"api = '{TOKEN}'").raise_error()
    with pytest.raises(CredentialHeldBack, match="--secret NAME") as caught:
        captured(shell, "print(api)")
    assert TOKEN not in str(caught.value)
    assert captured(shell, "print(api)", names_in=("api",)).names == ("api",)


def test_in_wants_names_that_exist(shell: Any) -> None:
    """A slip is told before anything starts."""
    with pytest.raises(BadOption, match="no `nothere`"):
        captured(shell, "1", names_in=("nothere",))


@pytest.mark.parametrize("code", ["def f(:", "return 1", "x = = 2", "  y = 1\n z = 2"])
def test_what_is_no_python_starts_nothing(shell: Any, code: str) -> None:
    """A syntax error costs nothing, and is named as such."""
    with pytest.raises(RemoteError) as caught:
        captured(shell, code)
    assert type(caught.value).__name__ in {"SyntaxError", "IndentationError"}


def test_await_at_the_top_is_python(shell: Any) -> None:
    """As in any notebook cell."""
    assert captured(shell, "import asyncio\nawait asyncio.sleep(0)").modules >= {"asyncio"}


def test_files_the_cell_names_are_noted(shell: Any) -> None:
    """Readers written in C open them without our seeing it."""
    assert "data/a.csv" in captured(shell, "reader.read('data/a.csv')").paths
