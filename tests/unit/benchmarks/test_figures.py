"""From times to figures, and from figures to verdicts."""

from __future__ import annotations

import pytest

from benchmarks.harness.figures import Figure, figure, quantile, ratio
from benchmarks.harness.verdicts import Promise, judge, times_of, words_of_ms


def took(median_ms: float, p99_ms: float = 0.0, noise_ms: float = 0.0) -> Figure:
    """Return a figure."""
    return Figure(median_ms=median_ms, p99_ms=p99_ms or median_ms, least_ms=median_ms, noise_ms=noise_ms, count=9)


def test_a_figure_sums_up_in_milliseconds() -> None:
    """Median, 99th percentile, least and count are those of the runs."""
    found = figure([0.001 * number for number in range(101)])
    assert (found.median_ms, found.p99_ms, found.least_ms, found.count) == (50.0, 99.0, 0.0, 101)


def test_one_run_is_sure_of_itself() -> None:
    """A single time is its own median and 99th percentile."""
    found = figure([0.5])
    assert (found.median_ms, found.p99_ms, found.noise_ms) == (500.0, 500.0, 0.0)


def test_a_percentile_is_never_beyond_what_was_measured() -> None:
    """With few runs the 99th percentile lies between the two largest."""
    assert 2.0 < quantile([1.0, 2.0, 3.0], 0.99) <= 3.0


def test_more_runs_are_surer() -> None:
    """The same spread over four times as many runs leaves half the noise."""
    few, many = figure([0.001, 0.002, 0.003, 0.004] * 25), figure([0.001, 0.002, 0.003, 0.004] * 100)
    assert many.noise_ms == pytest.approx(few.noise_ms / 2, rel=0.05)


def test_nothing_measured_is_no_figure() -> None:
    """No times are an error, not a zero."""
    with pytest.raises(ValueError, match="nothing was measured"):
        figure([])


def test_a_ratio_compares_medians() -> None:
    """Two milliseconds beside four are a half."""
    assert ratio(took(2.0, 100.0), took(4.0)) == 0.5
    assert times_of(took(2.0), took(4.0)) == "0.5 ×"
    assert times_of(took(2.0), None) == ""


@pytest.mark.parametrize(("median_ms", "kept"), [(1.9, True), (2.0, True), (2.1, False)])
def test_a_relative_promise_is_kept_up_to_its_limit(median_ms: float, kept: bool) -> None:
    """0.4 of a local kernel's five milliseconds are two."""
    verdict = judge(
        Promise(what="cell", contestant="ours", limit=0.4, of="local"), {"ours": took(median_ms), "local": took(5.0)}
    )
    assert verdict.kept is kept


def test_a_miss_says_by_how_much_and_why() -> None:
    """The words name the excess and the promise's reason."""
    promise = Promise(what="cell", contestant="ours", limit=0.4, of="local", why="threads wake")
    verdict = judge(promise, {"ours": took(2.5), "local": took(5.0)})
    assert verdict.words == "missed by 25 %: threads wake"
    assert (verdict.promised, verdict.measured) == ("0.4 × local", "0.5 ×")


def test_a_large_miss_is_told_in_times() -> None:
    """Nobody reads 950 %."""
    assert (
        judge(Promise(what="x", contestant="ours", limit=2.0), {"ours": took(21.0)}).words == "missed 10.5 times over"
    )


def test_a_kept_promise_gives_no_reason() -> None:
    """The reason is for a miss."""
    verdict = judge(Promise(what="x", contestant="ours", limit=2.0, why="threads wake"), {"ours": took(1.0)})
    assert (verdict.words, verdict.why) == ("kept", "")


def test_a_promise_may_be_about_the_99th_percentile() -> None:
    """Then the median does not matter."""
    verdict = judge(Promise(what="cell", contestant="ours", limit=3.0, p99=True), {"ours": took(1.0, 3.5)})
    assert (verdict.kept, verdict.what, verdict.measured) == (False, "cell (p99)", "3.5 ms")


@pytest.mark.parametrize(
    ("value_ms", "words"), [(0.0427, "0.0427 ms"), (1.634, "1.63 ms"), (236.4, "236 ms"), (36_600, "36.6 s")]
)
def test_times_are_told_with_digits_that_mean_something(value_ms: float, words: str) -> None:
    """Three of them, and seconds where milliseconds are too many."""
    assert words_of_ms(value_ms) == words
