"""Arithmetic on times: from the seconds of many runs to a median, a 99th percentile, and how sure they are."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_NOTCH: Final = 1.57  # times the interquartile range over the root of the count: a 95 % interval of the median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one contestant took. `noise_ms` is the half width of a 95 % interval of the median, within this run."""

    median_ms: float
    p99_ms: float
    least_ms: float
    noise_ms: float
    count: int


def figure(seconds: Sequence[float]) -> Figure:
    """Sum up the times of one contestant; raises ValueError when there are none."""
    if not seconds:
        raise ValueError("nothing was measured")
    times_ms = sorted(second * 1000 for second in seconds)
    return Figure(
        median_ms=round(statistics.median(times_ms), 4),
        p99_ms=round(quantile(times_ms, 0.99), 4),
        least_ms=round(times_ms[0], 4),
        noise_ms=round(_NOTCH * (quantile(times_ms, 0.75) - quantile(times_ms, 0.25)) / len(times_ms) ** 0.5, 4),
        count=len(times_ms),
    )


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return the value below which a part of the ordered values lies, between its two neighbours; never beyond them."""
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def ratio(one: Figure, other: Figure) -> float:
    """Return how many times as long as the other one takes, in medians."""
    return one.median_ms / other.median_ms
