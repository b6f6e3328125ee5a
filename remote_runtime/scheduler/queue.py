"""Who waits for which card, in the order they came, and what they are told. Pure but for the order it keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from remote_runtime.scheduler.placement import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A session that has cards somebody waits for."""

    notebook: str  # its path; empty where that is nobody's business
    count: int
    busy_s: float  # how long its cell has run


class Queue:
    """Sessions that wait. Who comes later gets no card that somebody before him waits for."""

    def __init__(self) -> None:
        self._waiting: dict[str, Placement] = {}

    def join(self, session_id: str, wanted: Placement) -> None:
        """Take a place at the end; who is in the queue keeps his, whatever he waits for now."""
        self._waiting[session_id] = wanted

    def leave(self, session_id: str) -> None:
        """Give a place up."""
        self._waiting.pop(session_id, None)

    def ahead(self, session_id: str) -> Counter[tuple[str, str]]:
        """Return how many cards, by provider and card, those wait for who came before; all, for who has no place."""
        found: Counter[tuple[str, str]] = Counter()
        for other, wanted in self._waiting.items():
            if other == session_id:
                break
            found[wanted.provider, wanted.card] += wanted.count
        return found

    def place(self, session_id: str) -> int:
        """Return a waiting session's place among those that wait for the same card, from 1."""
        mine = self._waiting[session_id]
        same = [other for other, wanted in self._waiting.items() if _kind(wanted) == _kind(mine)]
        return same.index(session_id) + 1


def waiting_line(wanted: Placement, place: int, holders: Iterable[Holder]) -> str:
    """Say what is waited for, behind how many, and who has it."""
    cards = wanted.card if wanted.count == 1 else f"{wanted.count} {wanted.card}"
    before = "you are next" if place == 1 else f"{place - 1} before you"
    held = ", ".join(_holder(holder) for holder in sorted(holders, key=lambda one: -one.busy_s))
    return f"waiting for {cards}, {before}" + (f"; held by {held}" if held else "")


def _holder(holder: Holder) -> str:
    name = PurePath(holder.notebook).name or "another session"
    count = "" if holder.count == 1 else f" ({holder.count})"
    return f"{name}{count} for {_minutes(holder.busy_s)}"


def _minutes(seconds: float) -> str:
    """Write a time so coarsely that it is not said anew at every look."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _kind(wanted: Placement) -> tuple[str, str]:
    return wanted.provider, wanted.card
