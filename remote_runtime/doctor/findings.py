"""What the doctor says of one thing: how it stands, what that means for cells, and the one line that mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Grade(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WEAKER = "weaker"  # cells run, and something about them is less than it could be
    MISSING = "missing"


class Group(StrEnum):
    """Under which heading a finding is shown, in this order."""

    WALLS = "What separates cells"
    SPEED = "Memory, disk and limits"
    PACKAGES = "Python and packages"
    PLACES = "Addresses, files and time"
    EXTRAS = "Cards and containers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's."""

    group: Group
    subject: str
    grade: Grade
    found: str  # what was looked at and seen
    means: str  # a sentence about cells
    mend: str = ""  # what a person can run or write; empty where nothing needs mending
    vital: bool = False  # without it no cell runs

    @property
    def stops_cells(self) -> bool:
        """Tell whether no cell can run because of this."""
        return self.vital and self.grade is Grade.MISSING

    def wire(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def cells_can_run(findings: tuple[Finding, ...]) -> bool:
    """Tell whether nothing that cells cannot do without is missing."""
    return not any(finding.stops_cells for finding in findings)
