"""Promises and whether they are kept: values in, words out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.harness.figures import Figure, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One line of the promises: `contestant` takes at most `limit` milliseconds, or `limit` times what `of` takes.

    A promise that was written in milliseconds of another machine is held as the ratio it was there. `why` says what a
    miss was found to come from, by measurement, else it is empty; it is shown only when it is missed.
    """

    what: str
    contestant: str
    limit: float
    of: str = ""  # empty: `limit` is milliseconds
    p99: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A promise and what became of it."""

    what: str
    promised: str
    measured: str
    kept: bool
    over: float  # measured / promised: above 1 it is missed
    why: str = ""

    @property
    def words(self) -> str:
        """Return `kept`, or by how much it is missed and why."""
        if self.kept:
            return "kept"
        by = f"missed by {(self.over - 1) * 100:.0f} %" if self.over < 2 else f"missed {self.over:.1f} times over"
        return f"{by}: {self.why}" if self.why else by


def judge(promise: Promise, figures: Mapping[str, Figure]) -> Verdict:
    """Hold a promise against what was measured; raises KeyError when it was not measured."""
    found = figures[promise.contestant]
    measured_ms = found.p99_ms if promise.p99 else found.median_ms
    if promise.of:
        times = measured_ms / figures[promise.of].median_ms
        promised, measured, over = f"{promise.limit:.3g} × {promise.of}", f"{times:.3g} ×", times / promise.limit
    else:
        promised, measured, over = f"{promise.limit:g} ms", words_of_ms(measured_ms), measured_ms / promise.limit
    return Verdict(
        what=promise.what + (" (p99)" if promise.p99 else ""),
        promised=promised,
        measured=measured,
        kept=over <= 1,
        over=round(over, 4),
        why="" if over <= 1 else promise.why,
    )


def times_of(found: Figure, reference: Figure | None) -> str:
    """Return `0.44 ×`, or nothing where there is no reference."""
    return "" if reference is None else f"{ratio(found, reference):.3g} ×"


def words_of_ms(value_ms: float) -> str:
    """Return a time with three digits that mean something: `1.63 ms`, `2.41 s`."""
    if value_ms >= 10_000:
        return f"{value_ms / 1000:.1f} s"
    if value_ms >= 100:
        return f"{value_ms:.0f} ms"
    return f"{value_ms:.3g} ms"
