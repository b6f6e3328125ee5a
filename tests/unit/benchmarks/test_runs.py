"""Runs: how they are timed, kept, merged, compared, and told."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness.compare import moves
from benchmarks.harness.contest import Contestant, Effort, contest, no_collection
from benchmarks.harness.figures import Figure
from benchmarks.harness.plots import draw
from benchmarks.harness.records import RowRecord, RunRecord, merged, run_from, to_json
from benchmarks.harness.report import page, table_of
from benchmarks.harness.verdicts import Verdict
from benchmarks.subject.runtime import NotOurs, check_ours, own_environment, runtime, stop_runtime

MACHINE = {
    "date": "2026-11-22", "commit": "abc", "cpu": "A CPU", "cores": 2, "memory_gib": 8.0, "system": "Linux 6",
    "virtual": True, "python": "3.11.7", "packages": {"ipykernel": "7.4.0"},
}  # fmt: skip


def row(
    name: str = "cell", *, ours_ms: float = 2.0, local_ms: float = 5.0, noise_ms: float = 0.0, failed: str = ""
) -> RowRecord:
    """Return a row with a local kernel and ours."""
    times = {"local": local_ms, "ours": ours_ms}
    figures = {
        who: Figure(median_ms=ms, p99_ms=ms, least_ms=ms, noise_ms=noise_ms, count=9) for who, ms in times.items()
    }
    verdict = Verdict(
        what="a cell", promised="0.4 × local", measured="0.5 ×", kept=False, over=1.25, why="threads wake"
    )
    return RowRecord(
        name=name, title=f"The {name}", how="So.", reference="local", figures={} if failed else figures, ours=("ours",),
        verdicts=() if failed else (verdict,), notes=("a remark",), measured_at="2026-11-22T10:00", failed=failed,
    )  # fmt: skip


def run(*rows: RowRecord, **machine: object) -> RunRecord:
    """Return a run of these rows."""
    return RunRecord(machine={**MACHINE, **machine}, rows={each.name: each for each in rows})


def test_contestants_take_turns_and_another_begins_each_time() -> None:
    """Whoever is first in a turn is not first in the next."""
    order: list[str] = []
    contestants = [Contestant(name, lambda name=name: order.append(name)) for name in "ab"]  # type: ignore[misc]
    times = contest(contestants, runs=4, batch=2, warm_up=0)
    assert "".join(order) == "aabbbbaa"
    assert [len(seconds) for seconds in times.values()] == [4, 4]


def test_a_contestant_with_its_own_clock_is_believed() -> None:
    """What it returns is its time; what another returns is not."""
    times = contest([Contestant("own", lambda: 7.0, own_clock=True), Contestant("ours", lambda: 7.0)], runs=1)
    assert times["own"] == [7.0]
    assert times["ours"][0] < 7.0


def test_a_contest_stops_at_its_limit_but_not_before_one_turn() -> None:
    """A limit of no time at all still leaves a figure."""
    assert len(contest([Contestant("a", int)], runs=50, limit_s=0)["a"]) == 1


def test_no_garbage_is_collected_while_it_is_timed() -> None:
    """Collection is off inside and as it was afterwards."""
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_less_effort_means_fewer_runs_but_some() -> None:
    """A tenth of 300 is 30; a tenth of 10 is the least."""
    assert (Effort(scale=0.1).times(300), Effort(scale=0.1).times(10), Effort(scale=0.1).times(2)) == (30, 3, 2)


def test_a_run_survives_its_file() -> None:
    """What is kept is what is read."""
    kept = run(row(), row("failure", failed="no Ray"))
    assert run_from(to_json(kept)) == kept


def test_a_file_of_another_layout_is_refused() -> None:
    """Rather that than a page of nonsense."""
    with pytest.raises(ValueError, match="layout"):
        run_from('{"layout": 99}')


def test_rows_that_were_not_measured_again_stay() -> None:
    """A kept run of one row keeps the others of the same machine, in the page's order."""
    kept = merged(run(row("a"), row("b")), run(row("b", ours_ms=9.0)), ("a", "b"))
    assert [(name, each.figures["ours"].median_ms) for name, each in kept.rows.items()] == [("a", 2.0), ("b", 9.0)]


def test_rows_of_another_machine_do_not_stay() -> None:
    """Figures of two machines are not one run."""
    assert list(merged(run(row("a"), cores=64), run(row("b")), ("a", "b")).rows) == ["b"]


def test_a_machine_that_is_slower_throughout_moves_nothing() -> None:
    """Ratios are compared, not milliseconds."""
    assert moves(run(row()), run(row(ours_ms=4.0, local_ms=10.0))) == []


def test_what_is_twice_as_slow_has_moved() -> None:
    """It is told with both ratios; the reference itself cannot move."""
    [move] = moves(run(row()), run(row(ours_ms=4.0)))
    assert (move.contestant, move.before, move.after) == ("ours", 0.4, 0.8)
    assert "2.00 times as long" in move.words


def test_what_noise_explains_has_not_moved() -> None:
    """A fifth more is nothing where the medians themselves are that unsure."""
    assert moves(run(row()), run(row(ours_ms=2.4))) != []
    assert moves(run(row(noise_ms=0.4)), run(row(ours_ms=2.4, noise_ms=0.4))) == []


def test_the_page_tells_promises_and_misses() -> None:
    """A promise stands there with by how much it is missed and why."""
    text = page(run(row()), "2026-11-22.json", {"cell": "images/cell.svg"})
    assert "| a cell | 0.4 × local | 0.5 × | missed by 25 %: threads wake |" in text
    assert "| **ours** | 2 ms | 2 ms | 9 | 0.4 |" in text
    assert "![The cell: medians](images/cell.svg)" in text


def test_the_page_of_a_busy_machine_says_so() -> None:
    """More work than cores makes figures provisional; a machine that was idle needs no such remark."""
    busy = replace(row(), load=7.5)
    assert "up to 7.5 processes for 2 cores" in page(run(busy), "x.json", {})
    assert "Provisional" not in page(run(row()), "x.json", {})


def test_a_row_that_failed_is_not_left_out() -> None:
    """Page and terminal say that it was not measured, and why."""
    failed = row(failed="no Ray | here")
    assert "not measured: no Ray / here" in page(run(failed), "x.json", {})
    assert "NOT MEASURED: no Ray" in table_of(failed)[0]


def test_the_same_figures_draw_the_same_picture(tmp_path: Path) -> None:
    """A page written twice shows no difference; there is no background to be wrong in the dark."""
    first, second = draw(row(), tmp_path / "a").read_bytes(), draw(row(), tmp_path / "b").read_bytes()
    assert first == second
    assert b"<svg" in first


def test_a_runtime_that_is_not_the_benchmarks_own_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without directories of its own, marked as such, nothing is started, stopped or cleared away."""
    store = tmp_path / "store.sqlite3"
    store.touch()
    monkeypatch.setenv("CELLBURST_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CELLBURST_CONFIG_DIR", str(tmp_path / "config"))
    with pytest.raises(NotOurs):
        check_ours()
    monkeypatch.setenv("CELLBURST_RUNTIME_DIR", str(tmp_path / "run"))
    with pytest.raises(NotOurs), runtime():
        raise AssertionError("it was started")
    with pytest.raises(NotOurs):
        stop_runtime()
    assert store.exists()


def test_a_row_is_pointed_at_directories_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the harness sets passes the check."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name, value in own_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    check_ours()
