"""How much more a volume may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """How many bytes of disk may be added, and what to say to whoever wants more."""

    free_bytes: int | None = None  # None: as many as there are
    why: str = ""

    def holds(self, wanted_bytes: int) -> bool:
        """Tell whether so much may be added."""
        return self.free_bytes is None or wanted_bytes <= self.free_bytes
