"""Time as a parameter: the one place of the control plane that reads a clock or sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the control plane knows of time."""

    def now(self) -> float:
        """Return the time of day in epoch seconds, as it was followed last: it jumps at no other moment."""

    def follow(self) -> float:
        """Take over a time of day that was set meanwhile; return by how many seconds it was."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock, of which a jump is seen when it is asked for: not in the middle of a decision."""

    def __init__(self) -> None:
        self._ahead_s = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the time of day in epoch seconds, as it was followed last."""
        return time.monotonic() + self._ahead_s

    def follow(self) -> float:
        """Take over a time of day that was set meanwhile; return by how many seconds it was."""
        before_s, self._ahead_s = self._ahead_s, time.time() - time.monotonic()
        return self._ahead_s - before_s

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
