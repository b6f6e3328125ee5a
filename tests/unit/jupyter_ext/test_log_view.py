"""The line of `%gpu_logs`: what it takes, what it refuses, and what it prints."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from jupyter_ext.log_view import Asked, log_lines, parse_logs
from kernel_bridge.protocol.logs import LogLine


def test_the_line_is_read() -> None:
    """With nothing said, the newest hundred lines of all sessions from info on."""
    assert parse_logs("") == Asked(cell="", session="", lines=100, level="info")
    assert parse_logs("--cell last --session 'my own' --lines 5 --level=debug") == Asked(
        cell="last", session="my own", lines=5, level="debug"
    )


@pytest.mark.parametrize("line", ["--lines 0", "--lines many", "--level loud", "--colour", "last", "--cell"])
def test_what_cannot_be_is_refused_in_one_line(line: str) -> None:
    """With what to write instead."""
    with pytest.raises(UsageError, match=r"gpu_logs|write") as refused:
        parse_logs(line)
    assert "\n" not in str(refused.value)


def test_what_is_printed_begins_with_what_it_is_about() -> None:
    """No lines are said to be none; nothing has colours."""
    line = LogLine(at_s=0.5, level="info", process="agent", message="cell began")
    head, said = log_lines("ses_1", "c1", [line])
    assert (head, said[9:]) == ("ses_1, cell c1:", "500 info    agent         cell began")
    assert log_lines("ses_1", "", []) == ["ses_1: no lines"]
    assert "\x1b" not in said
