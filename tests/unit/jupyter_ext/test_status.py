"""The status line and the footer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from jupyter_ext.status import Footer, StatusLine, card_label, format_seconds


def test_the_footer_reads_as_promised() -> None:
    """Card, run, cold start and cost, in one line."""
    footer = Footer(card="A100", simulated=True, run_s=1.23, cold_s=0.8, cost_microusd=800)
    assert footer.text == "A100 simulated · 1.2 s · cold 0.8 s · $0.0008"


def test_a_warm_footer_says_nothing_of_starting() -> None:
    """What did not happen is not mentioned."""
    footer = Footer(card="H100", card_count=8, run_s=0.004, cost_microusd=1_250_000, files_in=("a.csv",))
    assert footer.text == "H100 ×8 · 4 ms · $1.25 · read a.csv"


def test_long_ways_are_told() -> None:
    """What a warm cell spent on the way there and back is said where it matters."""
    footer = Footer(card="A100", run_s=1.2, shipping_s=0.9, returning_s=0.51, cost_microusd=1600)
    assert footer.text == "A100 · 1.2 s · shipped 0.9 s · brought home 0.5 s · $0.0016"


def test_notices_follow_line_by_line() -> None:
    """Each thing the user must know has its line."""
    footer = Footer(card="cpu", run_s=1.0, woke=True, cold_s=0.2, notices=("x stayed remote", "y changed here too"))
    assert footer.text == "CPU · 1.0 s · woke 0.2 s · $0.0000\nx stayed remote\ny changed here too"


def test_the_footer_is_a_tagged_display(shell: Any) -> None:
    """Whoever reads the notebook finds the facts in the display's metadata, and no markup gets through."""
    Footer(card="A100", session="ses_1", paged=("x",), notices=("<b>",)).show(shell)
    ((kind, content),) = shell.display_pub.shown
    facts = content["metadata"]["cellburst"]
    assert kind == "display"
    assert (facts["footer"], facts["card"], facts["session"], facts["paged"]) == (True, "A100", "ses_1", ("x",))
    assert "&lt;b&gt;" in content["data"]["text/html"]


def test_the_status_line_is_updated_in_place_and_cleared(shell: Any) -> None:
    """One display; the first output takes its place."""
    shell.kernel = object()
    status = StatusLine(shell)
    for text in ("starting", "starting", "building"):
        status.say(text)
        time.sleep(0.11)
    status.remove()
    status.remove()
    assert [kind for kind, _ in shell.display_pub.shown] == ["display", "update", "clear"]
    ids = {content["transient"]["display_id"] for kind, content in shell.display_pub.shown if kind != "clear"}
    assert len(ids) == 1
    assert shell.display_pub.shown[-1] == ("clear", {"wait": True})


def test_what_is_said_after_output_does_not_clear_it(shell: Any) -> None:
    """`interrupting` must not take away what the cell printed."""
    shell.kernel = object()
    status = StatusLine(shell)
    status.remove()  # as the first output does
    status.say("interrupting")
    status.remove()
    assert [kind for kind, _ in shell.display_pub.shown] == ["display", "update"]


def test_a_line_magics_status_leaves_the_cells_other_output(shell: Any) -> None:
    """Clearing would take away what the local cell printed before."""
    shell.kernel = object()
    status = StatusLine(shell, clearable=False)
    status.say("starting")
    status.remove()
    assert [kind for kind, _ in shell.display_pub.shown] == ["display", "update"]
    assert shell.display_pub.shown[-1][1]["data"]["text/plain"] == ""


def test_without_a_front_end_there_is_no_status_line(shell: Any) -> None:
    """A terminal cannot update in place."""
    StatusLine(shell).say("starting")
    assert shell.display_pub.shown == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "1 ms"), (0.0123, "12 ms"), (0.1, "0.1 s"), (59.96, "60.0 s"), (185, "3 min 5 s")]
)
def test_lengths_of_time_are_short(seconds: float, text: str) -> None:
    """Two significant parts are enough."""
    assert format_seconds(seconds) == text


def test_a_session_without_a_card_runs_on_the_cpu() -> None:
    """`cpu` is a card like any other to the reader."""
    assert card_label("cpu") == "CPU"
