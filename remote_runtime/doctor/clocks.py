"""Time: whether the two clocks of this host agree, and whether a runtime elsewhere has the same time of day."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2

from remote_runtime.clock import Clock
from remote_runtime.doctor.findings import Finding, Grade, Group

_EARLIEST_S: Final = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC).timestamp()
_WATCHED_S: Final = 0.1
_DRIFT_S: Final = 0.02
_APART_S: Final = 5.0
_ANSWER_S: Final = 3.0
_SET: Final = "sudo timedatectl set-ntp true"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFacts:
    """What the clocks showed."""

    now_s: float
    drift_s: float  # how far the two clocks went apart while they were watched
    elsewhere: str = ""  # the runtime this notebook is connected to
    apart_s: float | None = None  # its clock less ours; None: it did not say


def probe(clock: Clock, elsewhere: str = "") -> ClockFacts:
    """Watch the clocks for a moment, and compare ours with the `Date` of the runtime at `elsewhere`."""
    start, wall = clock.monotonic(), clock.now()
    asyncio.run(clock.sleep(_WATCHED_S))
    drift = (clock.now() - wall) - (clock.monotonic() - start)
    apart = _apart(clock, elsewhere) if elsewhere else None
    return ClockFacts(now_s=clock.now(), drift_s=drift, elsewhere=elsewhere, apart_s=apart)


def judge(facts: ClockFacts) -> tuple[Finding, ...]:
    """Say whether times can be believed."""
    return (_own(facts), *([_other(facts)] if facts.elsewhere else []))


def _own(facts: ClockFacts) -> Finding:
    shown = datetime.datetime.fromtimestamp(facts.now_s, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if facts.now_s < _EARLIEST_S:
        means = "Cells will run; certificates will be refused, and bills and tokens have wrong dates."
        return _finding("clock", Grade.WEAKER, f"it is {shown}", means, _SET)
    if abs(facts.drift_s) > _DRIFT_S:
        found = f"{shown}; the time of day moved {facts.drift_s * 1000:+.0f} ms against the steady clock"
        means = "Cells will be billed by a clock that is being set while they run."
        return _finding("clock", Grade.WEAKER, found, means, _SET)
    means = "Cells will be billed and ended by a steady clock."
    return _finding("clock", Grade.OK, f"{shown}; steady", means)


def _other(facts: ClockFacts) -> Finding:
    subject, where = "clock elsewhere", facts.elsewhere
    if facts.apart_s is None:
        means = "Cells will not run there until it answers."
        mend = "Look whether it runs, or go back to this host's own: `%gpu_connect local`."
        return _finding(subject, Grade.WEAKER, f"{where} does not say its time", means, mend)
    if abs(facts.apart_s) > _APART_S:
        found = f"{where} is {abs(facts.apart_s):.0f} s {'ahead' if facts.apart_s > 0 else 'behind'}"
        means = "Cells will run; idle times, tokens' ends and bills are shown that much off."
        return _finding(subject, Grade.WEAKER, found, means, f"{_SET} (on both hosts)")
    return _finding(subject, Grade.OK, f"{where} has the same time", "Cells will be told of in times that fit here.")


def _apart(clock: Clock, url: str) -> float | None:
    """Return how far the clock there is from ours, in seconds; a `Date` has whole ones."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return None
    try:
        before = clock.now()
        answer = httpx2.get(f"{url}/healthz", timeout=_ANSWER_S)
        there = email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, KeyError, ValueError):
        return None
    return there + 0.5 - (before + clock.now()) / 2


def _finding(subject: str, grade: Grade, found: str, means: str, mend: str = "") -> Finding:
    return Finding(group=Group.PLACES, subject=subject, grade=grade, found=found, means=means, mend=mend)
