"""Which containers should go, and why. Pure: what is seen in, what to do out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What is to become of a container."""

    HIBERNATE = "hibernate"  # state saved, container gone
    CLOSE = "close"  # nobody can ever come back for its state


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A container that is ready, as the reconciler sees it. Times are epoch seconds."""

    container_id: str
    session_id: str
    idle_since_s: float | None  # None: a cell runs
    idle_after_s: float
    pinned_until_s: float | None = None
    client_gone_since_s: float | None = None  # None: the notebook is connected
    undelivered: bool = False  # its agent keeps output or a reply that the notebook has not taken
    kernel_ended: bool = False  # it said goodbye, or its process is gone from this host
    named: bool = False  # notebooks that say the same name share the session: it outlives a kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do with one container and what to tell whoever asks."""

    container_id: str
    session_id: str
    fate: Fate
    why: str


def verdicts(seen: Iterable[Seen], now_s: float, orphan_after_s: float) -> list[Verdict]:
    """Return what should go, longest idle first; a container that is not mentioned stays."""
    ordered = sorted(seen, key=lambda one: (now_s if one.idle_since_s is None else one.idle_since_s, one.container_id))
    return [verdict for one in ordered if (verdict := _verdict(one, now_s, orphan_after_s)) is not None]


def longest_idle(seen: Iterable[Seen], now_s: float, orphan_after_s: float) -> Seen | None:
    """Return the container that may make room for another: idle, held by nothing, and idle the longest."""
    free = [one for one in seen if one.idle_since_s is not None and not _held(one, now_s, orphan_after_s)]
    return min(free, key=lambda one: (one.idle_since_s or 0.0, one.container_id), default=None)


def deadline_s(idle_since_s: float | None, idle_after_s: float, pinned_until_s: float | None) -> float | None:
    """Return when an idle container will go if no cell comes; None while one runs. All are epoch seconds."""
    if idle_since_s is None:
        return None
    return max(idle_since_s + idle_after_s, pinned_until_s or 0.0)


def _verdict(one: Seen, now_s: float, orphan_after_s: float) -> Verdict | None:
    if one.kernel_ended and one.client_gone_since_s is not None and not (one.named and _pinned(one, now_s)):
        return _as(one, Fate.HIBERNATE if one.named else Fate.CLOSE, "the notebook's kernel ended")
    if one.idle_since_s is None:
        gone = one.client_gone_since_s
        if gone is not None and now_s - gone >= orphan_after_s:
            return _as(one, Fate.HIBERNATE, f"no notebook came back for {orphan_after_s:.0f} s")
        return None
    if now_s - one.idle_since_s >= one.idle_after_s and not _held(one, now_s, orphan_after_s):
        return _as(one, Fate.HIBERNATE, f"idle for {one.idle_after_s:.0f} s")
    return None


def _held(one: Seen, now_s: float, orphan_after_s: float) -> bool:
    """Tell whether it stays although it idles: it is pinned, or keeps results that an absent notebook may fetch yet."""
    gone = one.client_gone_since_s
    return _pinned(one, now_s) or (one.undelivered and gone is not None and now_s - gone < orphan_after_s)


def _pinned(one: Seen, now_s: float) -> bool:
    return one.pinned_until_s is not None and now_s < one.pinned_until_s


def _as(one: Seen, fate: Fate, why: str) -> Verdict:
    return Verdict(container_id=one.container_id, session_id=one.session_id, fate=fate, why=why)
