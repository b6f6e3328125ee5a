"""Timing several ways of doing one thing, in turns, so that whatever else the machine does meets them all."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way. `run` is timed; with `own_clock` it returns the seconds itself. `prepare` and `rest` are never timed."""

    name: str
    run: Callable[[], Any]
    prepare: Callable[[], object] = nothing  # before each run
    rest: Callable[[], object] = nothing  # after each turn
    own_clock: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: 1 is what is kept, less is for trying things out."""

    scale: float = 1.0

    def times(self, number: int, least: int = 3) -> int:
        """Return how often to do what is to be done so often."""
        return max(min(least, number), round(number * self.scale))


def contest(
    contestants: Sequence[Contestant], *, runs: int, batch: int = 1, warm_up: int = 1, limit_s: float = 120.0
) -> dict[str, list[float]]:
    """Run every contestant `runs` times, `batch` in a turn, after warming up; return seconds.

    Turns begin with another contestant each time. When `limit_s` is over no further turn begins.
    """
    for each in contestants:
        for _ in range(warm_up):
            _take(each)
        each.rest()
    times: dict[str, list[float]] = {each.name: [] for each in contestants}
    began_s, turn = time.perf_counter(), 0
    while turn * batch < runs and (turn == 0 or time.perf_counter() - began_s < limit_s):
        first = turn % len(contestants)
        for each in (*contestants[first:], *contestants[:first]):
            with no_collection():
                times[each.name] += [_take(each) for _ in range(min(batch, runs - turn * batch))]
            each.rest()
        turn += 1
    return times


def take(run: Callable[[], object]) -> float:
    """Return the seconds something takes."""
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s


def _take(contestant: Contestant) -> float:
    contestant.prepare()
    began_s = time.perf_counter()
    said = contestant.run()
    took_s = time.perf_counter() - began_s
    return float(said) if contestant.own_clock else took_s


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect garbage now, and not again until this is over."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
