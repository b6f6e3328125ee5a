"""What the container says, as output of a real shell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jupyter_ext.outputs import Outputs, show_late
from jupyter_ext.status import StatusLine
from jupyter_ext.writeback import keep_output
from kernel_bridge.protocol.messages import IOPUB, Message, new_header


def iopub(msg_type: str, **content: Any) -> Message:
    return Message(IOPUB, new_header(msg_type, "s"), {}, {}, content)


def outputs(shell: Any, **options: Any) -> Outputs:
    return Outputs(shell, StatusLine(shell, enabled=False), **options)


def test_streams_go_where_they_belong(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output and error stay apart and keep every character."""
    show = outputs(shell)
    show.show(iopub("stream", name="stdout", text="a\rb\x1b[0m"))
    show.show(iopub("stream", name="stderr", text="warning"))
    show.flush()
    assert capsys.readouterr() == ("a\rb\x1b[0m", "warning")


def test_displays_keep_their_bundle_metadata_and_id(shell: Any) -> None:
    """A display and its update arrive as the container sent them."""
    show = outputs(shell)
    bundle = {"text/plain": "x", "image/png": "aGk=", "application/vnd.plotly.v1+json": {"data": []}}
    show.show(iopub("display_data", data=bundle, metadata={"a": 1}, transient={"display_id": "d"}))
    show.show(iopub("update_display_data", data={"text/plain": "y"}, metadata={}, transient={"display_id": "d"}))
    show.show(iopub("clear_output", wait=True))
    assert shell.display_pub.shown == [
        ("display", {"data": bundle, "metadata": {"a": 1}, "transient": {"display_id": "d"}}),
        ("update", {"data": {"text/plain": "y"}, "metadata": {}, "transient": {"display_id": "d"}}),
        ("clear", {"wait": True}),
    ]


def test_a_result_is_shown_once_with_the_local_count(shell: Any) -> None:
    """`Out[n]` and `_` hold the value; the display is the remote one."""
    outputs(shell).show(iopub("execute_result", data={"text/plain": "remote"}, metadata={}, execution_count=77))
    keep_output(shell, [1, 2])
    count = shell.displayhook.prompt_count
    assert shell.displayhook.results == [(count, {"text/plain": "remote"}, {})]
    assert shell.user_ns["Out"][count] == shell.user_ns["_"] == [1, 2]


def test_only_a_traceback_that_does_not_end_the_cell_is_shown(shell: Any) -> None:
    """`%run` shows one and the cell goes on; the one that ends it is raised here, and shown by that."""
    shown: list[tuple[str, str, list[str]]] = []
    shell._showtraceback = lambda kind, value, lines: shown.append((kind.__name__, value, lines))
    error = iopub("error", ename="KeyError", evalue="'k'", traceback=["KeyError: 'k'"])
    outputs(shell).show(error)
    assert shown == []
    outputs(shell).show(replace(error, metadata={"cellburst": {"by_the_way": True}}))
    assert shown == [("KeyError", "'k'", ["KeyError: 'k'"])]


def test_a_line_does_not_show_its_result(shell: Any) -> None:
    """`z = %gpu f(x)` returns a value; IPython shows it where it is not assigned."""
    outputs(shell, show_result=False).show(iopub("execute_result", data={"text/plain": "1"}, metadata={}))
    assert shell.displayhook.results == []


def test_what_capture_catches_locally_it_catches_remotely(shell: Any) -> None:
    """`%%capture` around a cell takes its streams, displays and results."""
    shell.user_ns["show"] = outputs(shell)
    shell.user_ns["messages"] = [
        iopub("stream", name="stdout", text="out"),
        iopub("display_data", data={"text/plain": "d"}, metadata={}, transient={}),
        iopub("execute_result", data={"text/plain": "r"}, metadata={}),
    ]
    shell.run_cell("%%capture caught\nfor each in messages: show.show(each)").raise_error()
    caught = shell.user_ns["caught"]
    assert caught.stdout == "out"
    assert [output.data["text/plain"] for output in caught.outputs] == ["d", "r"]
    assert shell.display_pub.shown == []


def test_late_output_without_a_front_end_is_printed(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A thread that prints after its cell is not silenced."""
    show_late(shell, iopub("stream", name="stdout", text="late"), {})
    assert capsys.readouterr().out == "late"


def test_the_kernels_own_messages_are_not_shown(shell: Any) -> None:
    """Errors are raised from the reply, so the message must not show them too."""
    show = outputs(shell)
    for kind in ("status", "execute_input", "error"):
        show.show(iopub(kind, execution_state="idle", traceback=["x"]))
    assert shell.display_pub.shown == []
