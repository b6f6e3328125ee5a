"""What the doctor says, for people and for programs."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from typing import Final

from remote_runtime.doctor.findings import Finding, Grade, Group, cells_can_run

_GRADE_WIDTH: Final = max(map(len, Grade))
_NARROWEST: Final = 60
_WIDEST: Final = 120
_ARROW: Final = "mend: "


def as_json(findings: tuple[Finding, ...]) -> str:
    """Return all of it as JSON."""
    told = {"cells_can_run": cells_can_run(findings), "findings": [finding.wire() for finding in findings]}
    return json.dumps(told, indent=2, default=str)


def as_text(findings: tuple[Finding, ...], columns: int) -> str:
    """Return a table under headings, wrapped to a terminal of so many columns, and a last line that sums it up."""
    width = min(max(columns, _NARROWEST), _WIDEST)
    subject_width = max(len(finding.subject) for finding in findings)
    parts = []
    for group in Group:
        rows = [_row(finding, subject_width, width) for finding in findings if finding.group is group]
        parts += [f"{group}\n" + "\n".join(rows)] if rows else []
    return "\n\n".join([*parts, *textwrap.wrap(summary(findings), width)])


def summary(findings: tuple[Finding, ...]) -> str:
    """Return the sentence that matters."""
    stopping = [finding.subject for finding in findings if finding.stops_cells]
    if stopping:
        return f"Cells cannot run here until this is mended: {', '.join(stopping)}."
    grades = Counter(finding.grade for finding in findings)
    counts = ", ".join(f"{grades[grade]} {grade}" for grade in Grade)
    return f"Cells can run here. {counts}."


def _row(finding: Finding, subject_width: int, width: int) -> str:
    """Return the lines of one finding: what was found, what it means, what mends it, under one another."""
    head = f"  {finding.grade:<{_GRADE_WIDTH}}  {finding.subject:<{subject_width}}  "
    hang = " " * len(head)
    lines = _wrapped(finding.found, head, hang, width) + _wrapped(finding.means, hang, hang, width)
    if finding.mend:
        # One line as it stands, however long: it is there to be copied.
        lines.append(f"{hang}{_ARROW}{finding.mend}")
    return "\n".join(lines)


def _wrapped(text: str, first: str, later: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
