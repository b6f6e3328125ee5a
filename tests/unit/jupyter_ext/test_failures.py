"""What failed remotely, as IPython shows it here."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ext.errors_shown import shown_in_one_line
from jupyter_ext.failures import RemoteError, remote_exception, syntax_error
from kernel_bridge.errors import BadOption, NoCapacity

LINES = ["Traceback", "ValueError: boom"]


def run_raising(shell: Any, error: BaseException) -> Any:
    def fail() -> None:
        raise error

    shell.user_ns["fail"] = fail
    return shell.run_cell("fail()")


def test_the_cells_own_exception_is_raised_with_the_remote_lines(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """`except ValueError` works, and only the remote traceback is shown, in `%tb` too."""
    error = ValueError("boom")
    result = run_raising(shell, remote_exception("ValueError", "boom", LINES, error))
    assert result.error_in_exec is error
    assert capsys.readouterr().out.split() == ["Traceback", "ValueError:", "boom"]
    shell.run_cell("%tb")
    assert capsys.readouterr().out.split() == ["Traceback", "ValueError:", "boom"]


def test_an_exception_that_cannot_travel_keeps_its_name() -> None:
    """nbclient and papermill report `Odd`, not a class of ours."""
    error = remote_exception("Odd", "why", LINES)
    assert isinstance(error, RemoteError)
    assert (type(error).__name__, str(error)) == ("Odd", "why")


@pytest.mark.parametrize("travelled", [SyntaxError("x"), SystemExit(2), ExceptionGroup("g", [ValueError()])])
def test_what_ipython_shows_its_own_way_is_shown_with_the_remote_lines(
    shell: Any, capsys: pytest.CaptureFixture[str], travelled: BaseException
) -> None:
    """Syntax errors, exits and groups would show our frames."""
    name = type(travelled).__name__
    result = run_raising(shell, remote_exception(name, str(travelled), LINES, travelled))
    out = "".join(capsys.readouterr())
    assert type(result.error_in_exec).__name__ == name
    assert "Traceback" in out
    assert "fail" not in out


def test_a_syntax_error_shows_its_line_only(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """As IPython shows it, without the magic's frames."""
    try:
        compile("def f(:", "<cell>", "exec")
    except SyntaxError as error:
        run_raising(shell, syntax_error(shell, error))
    out = capsys.readouterr().out
    assert "def f(:" in out
    assert "fail()" not in out


def test_our_errors_are_one_line(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback of ours reaches the user."""

    def fail(error: Exception) -> None:
        with shown_in_one_line():
            raise error

    shell.user_ns.update(fail=fail, first=NoCapacity("No H100 here."), second=BadOption("`x` is no card."))
    shell.run_cell("fail(first)")
    shell.run_cell("fail(second)")
    out, err = capsys.readouterr()
    assert "NoCapacity" in out
    assert out.strip().endswith("No H100 here.")
    assert len(out.strip().splitlines()) == 1
    assert err.strip() == "UsageError: `x` is no card."
