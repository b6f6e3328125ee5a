"""Two runs beside each other: what moved further than chance moves it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.harness.figures import Figure
from benchmarks.harness.records import RowRecord, RunRecord

FLOOR: Final = 0.10  # two runs on an idle machine differ by so much in ratio, whatever the spread within each


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One contestant that is faster or slower than it was."""

    row: str
    contestant: str
    before: float  # a ratio to the row's reference, or milliseconds where there is none
    after: float
    noise: float  # relative: what chance explains

    @property
    def words(self) -> str:
        """Return one line."""
        change = self.after / self.before
        how = f"{change:.2f} times as long" if change > 1 else f"{1 / change:.2f} times as fast"
        values = f"{self.before:.3g} -> {self.after:.3g}, chance ±{self.noise:.0%}"
        return f"{self.row}: {self.contestant} takes {how} ({values})"


def moves(before: RunRecord, after: RunRecord) -> list[Move]:
    """Return what moved beyond noise, the largest first. Rows and contestants that only one run has are left out."""
    shared = [name for name in after.rows if name in before.rows]
    found = [move for name in shared for move in _moves_of_row(before.rows[name], after.rows[name])]
    return sorted(found, key=lambda move: -abs(math.log(move.after / move.before)))


def _moves_of_row(before: RowRecord, after: RowRecord) -> Iterator[Move]:
    relative = before.reference == after.reference and before.base is not None and after.base is not None
    for name, now in after.figures.items():
        then = before.figures.get(name)
        if then is None or (relative and name == after.reference):
            continue
        bases = (before.base, after.base) if relative else (None, None)
        was, took = _value(then, bases[0]), _value(now, bases[1])
        noise = _noise(then, now, *bases)
        if abs(math.log(took / was)) > math.log1p(noise):
            yield Move(row=after.name, contestant=name, before=was, after=took, noise=noise)


def _value(found: Figure, base: Figure | None) -> float:
    return found.median_ms if base is None else found.median_ms / base.median_ms


def _noise(*figures: Figure | None) -> float:
    """Return the relative uncertainty of a quotient of all these medians."""
    parts = [(each.noise_ms / each.median_ms) ** 2 for each in figures if each is not None]
    return FLOOR + math.sqrt(sum(parts))
