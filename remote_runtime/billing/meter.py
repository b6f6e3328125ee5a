"""A container's life into lines of the ledger. Pure: times in, money out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kernel_bridge.protocol.money import cost_microusd
from remote_runtime.billing.prices import GIB, Rates, line_rate

Use = Literal["active", "idle"]
Intervals = Iterable[tuple[float, float | None]]  # epoch seconds; None: it still runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What was asked for, at which rates, from when until when (epoch seconds)."""

    card: str
    card_count: int
    cpu: float
    memory_bytes: int
    rates: Rates
    started_at_s: float
    ended_at_s: float

    @property
    def resources(self) -> tuple[tuple[str, float, int], ...]:
        """Return each resource asked for: its name, how much of it, the rate of one."""
        asked = (
            (f"gpu {self.card}", float(self.card_count), self.rates.gpu_microusd_per_h),
            ("cpu", self.cpu, self.rates.cpu_microusd_per_h),
            ("memory", self.memory_bytes / GIB, self.rates.memory_microusd_per_h),
        )
        return tuple(line for line in asked if line[1] > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the bill before it has a place in the ledger."""

    resource: str
    use: Use
    quantity: float
    rate_microusd_per_h: int  # of one
    duration_ms: int
    cost_microusd: int


def lifetime_ms(started_at_s: float, ended_at_s: float) -> int:
    """Return the length of a life in whole milliseconds; one that ended before it began has none."""
    return max(0, _ms(ended_at_s) - _ms(started_at_s))


def busy_ms(intervals: Intervals, started_at_s: float, ended_at_s: float) -> int:
    """Return how long at least one interval ran within a life, in milliseconds; overlaps count once."""
    total = 0
    reached = _ms(started_at_s)
    end_limit = max(reached, _ms(ended_at_s))
    for start, end in sorted(_whole(intervals, end_limit)):
        further = min(end, end_limit)
        total += max(0, further - max(start, reached))
        reached = max(reached, further)
    return total


def lines(metered: Metered, intervals: Intervals) -> tuple[Line, ...]:
    """Return the bill: active and idle lines of each resource, whose times sum to the life exactly."""
    life = lifetime_ms(metered.started_at_s, metered.ended_at_s)
    active = busy_ms(intervals, metered.started_at_s, metered.ended_at_s)
    uses: Sequence[tuple[Use, int]] = (("active", active), ("idle", life - active))
    return tuple(
        Line(
            resource=resource,
            use=use,
            quantity=quantity,
            rate_microusd_per_h=rate,
            duration_ms=duration,
            cost_microusd=cost_microusd(line_rate(rate, quantity), duration / 1000),
        )
        for resource, quantity, rate in metered.resources
        for use, duration in uses
        if duration
    )


def running_cost_microusd(metered: Metered, intervals: Intervals) -> int:
    """Return what the container has cost up to `ended_at_s`, as if it ended then."""
    return sum(line.cost_microusd for line in lines(metered, intervals))


def _whole(intervals: Intervals, end_limit_ms: int) -> list[tuple[int, int]]:
    return [(_ms(start), end_limit_ms if end is None else _ms(end)) for start, end in intervals]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
