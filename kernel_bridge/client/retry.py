"""Backoff as a value."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_CHANCE: Final = random.Random()  # noqa: S311 - no secret; the library's own generator is the notebook's, who may have seeded it


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Growing pauses between attempts, each shortened by chance so that many clients do not come at once."""

    first_s: float = 0.05
    factor: float = 2.0
    limit_s: float = 5.0

    def pauses_s(self) -> Iterator[float]:
        """Yield the pause before each next attempt, for ever."""
        pause_s = self.first_s
        while True:
            yield pause_s * _CHANCE.uniform(0.5, 1.0)
            pause_s = min(pause_s * self.factor, self.limit_s)
