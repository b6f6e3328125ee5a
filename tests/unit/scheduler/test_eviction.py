"""What has to go: the long unused, then what is over the budget; and never what somebody may come back for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remote_runtime.scheduler.eviction import Budget, Kept, Kind, ended_containers, superfluous

DAY_S = 86_400.0
NOW_S = 100 * DAY_S
WEEK = Budget(kept_s=7 * DAY_S)


def kept(name: str, days_ago: float, size_bytes: int = 10, *, needed: bool = False) -> Kept:
    used_at_s = NOW_S - days_ago * DAY_S
    return Kept(kind=Kind.BLOB, name=name, size_bytes=size_bytes, used_at_s=used_at_s, needed=needed)


def names(gone: list[Kept]) -> list[str]:
    return [one.name for one in gone]


def test_what_nobody_used_for_long_goes() -> None:
    """The longest unused first; what is needed stays however old it is."""
    everything = [kept("new", 1), kept("old", 8), kept("older", 9), kept("needed", 90, needed=True)]
    assert names(superfluous(everything, WEEK, NOW_S)) == ["older", "old"]


def test_over_the_budget_the_longest_unused_goes_earlier() -> None:
    """No more than has to; what is needed counts but stays."""
    budget = Budget(kept_s=7 * DAY_S, size_bytes=25)
    everything = [kept("c", 1), kept("b", 2), kept("a", 3), kept("needed", 4, needed=True)]
    assert names(superfluous(everything, budget, NOW_S)) == ["a", "b"]


def test_what_was_just_used_stays_over_any_budget() -> None:
    """Somebody may have it in hand; a clock that was set back makes nothing old."""
    budget = Budget(kept_s=0.0, size_bytes=0)
    assert superfluous([kept("now", 0.01), kept("tomorrow", -1)], budget, NOW_S) == []


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 100), st.booleans()), max_size=20), st.integers(0, 500))
def test_the_budget_is_kept_as_far_as_it_may_be(things: list[tuple[float, int, bool]], limit: int) -> None:
    """Either the rest fits, or nothing of it may go; nothing needed or just used ever goes."""
    everything = [kept(f"{n:02}", days, size, needed=needed) for n, (days, size, needed) in enumerate(things)]
    budget = Budget(kept_s=7 * DAY_S, size_bytes=limit)
    gone = superfluous(everything, budget, NOW_S)
    rest = [one for one in everything if one not in gone]
    assert not any(one.needed or NOW_S - one.used_at_s < budget.spared_s for one in gone)
    may_go = [one for one in rest if not one.needed and NOW_S - one.used_at_s >= budget.spared_s]
    assert not may_go or sum(one.size_bytes for one in rest) <= limit
    assert all(NOW_S - one.used_at_s < budget.kept_s for one in may_go)


def test_the_latest_container_of_a_session_keeps_its_log() -> None:
    """And one that has not ended keeps everything."""
    folders = [kept("s1/a", 9), kept("s1/b", 8), kept("s1/c", 7.5), kept("s2/d", 30), kept("s2/e", 20)]
    marked = ended_containers(folders, frozenset({"a"}))
    assert names(superfluous(marked, WEEK, NOW_S)) == ["s2/d", "s1/b"]
