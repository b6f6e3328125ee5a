"""The meter: every second of a container's life is active or idle, and none is both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.protocol.money import cost_microusd
from remote_runtime.billing.meter import Metered, busy_ms, lifetime_ms, lines, running_cost_microusd
from remote_runtime.billing.prices import GIB, Rates

RATES = Rates(gpu_microusd_per_h=2_098_800, cpu_microusd_per_h=47_160, memory_microusd_per_h=7_992, table="t")
TIMES = st.floats(0, 2e9, allow_nan=False)
INTERVALS = st.lists(st.tuples(TIMES, st.none() | TIMES), max_size=8)


def metered(started_at_s: float = 0.0, ended_at_s: float = 3600.0, card_count: int = 1) -> Metered:
    return Metered(
        card="A100", card_count=card_count, cpu=2.0, memory_bytes=4 * GIB, rates=RATES,
        started_at_s=started_at_s, ended_at_s=ended_at_s,
    )  # fmt: skip


@given(TIMES, TIMES, INTERVALS)
def test_active_and_idle_sum_to_the_lifetime(start: float, end: float, intervals: list[tuple[float, float]]) -> None:
    """For each resource, whatever cells ran when, to the millisecond."""
    life = lifetime_ms(start, end)
    bill = lines(metered(start, end), intervals)
    for resource in {line.resource for line in bill}:
        assert sum(line.duration_ms for line in bill if line.resource == resource) == life
    assert {line.resource for line in bill} == (set() if life == 0 else {"gpu A100", "cpu", "memory"})


@given(TIMES, TIMES, INTERVALS, st.randoms())
def test_the_order_of_cells_does_not_matter(start: float, end: float, intervals: list, random: object) -> None:  # type: ignore[type-arg]
    """Rows are written late and out of order."""
    before = busy_ms(intervals, start, end)
    random.shuffle(intervals)  # type: ignore[attr-defined]
    assert busy_ms(intervals, start, end) == before
    assert 0 <= before <= lifetime_ms(start, end)


@given(TIMES, TIMES, INTERVALS)
def test_saying_a_cell_twice_bills_it_once(start: float, end: float, intervals: list[tuple[float, float]]) -> None:
    """Overlapping cells are one busy container."""
    assert busy_ms(intervals * 2, start, end) == busy_ms(intervals, start, end)


def test_only_what_lies_within_the_life_counts() -> None:
    """Before the start and after the end nothing is billed; a running cell counts to the end."""
    assert busy_ms([(-5.0, 1.0), (2.0, 3.0), (2.5, 4.0), (9.0, 99.0)], 0.0, 10.0) == 1_000 + 2_000 + 1_000
    assert busy_ms([(4.0, None)], 0.0, 10.0) == 6_000


def test_an_hour_costs_the_rate() -> None:
    """Half of it active: the two lines of each resource cost half the hourly rate each."""
    bill = {(line.resource, line.use): line.cost_microusd for line in lines(metered(), [(0.0, 1800.0)])}
    assert bill["gpu A100", "active"] == bill["gpu A100", "idle"] == 2_098_800 // 2
    assert bill["cpu", "idle"] == cost_microusd(2 * 47_160, 1800)
    assert running_cost_microusd(metered(), []) == RATES.total_microusd_per_h(1, 2.0, 4 * GIB)


def test_a_session_without_a_card_has_no_line_for_one() -> None:
    """What was not asked for is not on the bill."""
    assert {line.resource for line in lines(metered(card_count=0), [])} == {"cpu", "memory"}
