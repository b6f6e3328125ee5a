"""What is kept of a run: one JSON file, small enough to commit and whole enough to write the page from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.figures import Figure
from benchmarks.harness.verdicts import Verdict

RESULTS: Final = Path(__file__).parents[1] / "results"
LAST: Final = RESULTS / "last.json"  # of every run; not committed
LAYOUT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRecord:
    """One row: what was measured, in the order it is to be read in."""

    name: str
    title: str
    how: str
    reference: str  # the contestant that ratios are taken to; empty: none
    figures: dict[str, Figure]
    ours: tuple[str, ...]
    limits: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    measured_at: str = ""  # 2026-11-22T10:00
    load: float = 0.0  # of the machine, a minute's average as the row began
    seconds: float = 0.0
    failed: str = ""  # why there are no figures

    @property
    def base(self) -> Figure | None:
        """Return the reference's figure."""
        return self.figures.get(self.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """All rows of a run, and the machine it was on."""

    machine: dict[str, Any]
    rows: dict[str, RowRecord] = field(default_factory=dict)


def merged(older: RunRecord | None, newer: RunRecord, order: tuple[str, ...]) -> RunRecord:
    """Return the newer run, with the rows it lacks from an older one of the same machine."""
    same = older is not None and all(older.machine.get(key) == newer.machine.get(key) for key in ("cpu", "cores"))
    rows = {**(older.rows if older is not None and same else {}), **newer.rows}
    return RunRecord(machine=newer.machine, rows={name: rows[name] for name in order if name in rows})


def to_json(run: RunRecord) -> str:
    """Return a run as text, one figure a line so that a difference can be read."""
    return json.dumps({"layout": LAYOUT, **asdict(run)}, indent=1, ensure_ascii=False) + "\n"


def row_from(fields: Mapping[str, Any]) -> RowRecord:
    """Build a row from its JSON."""
    return RowRecord(
        **{
            **fields,
            "figures": {name: Figure(**each) for name, each in fields["figures"].items()},
            "verdicts": tuple(Verdict(**each) for each in fields["verdicts"]),
            "ours": tuple(fields["ours"]),
            "limits": tuple(fields["limits"]),
            "notes": tuple(fields["notes"]),
        }
    )


def run_from(text: str) -> RunRecord:
    """Build a run from its text; raises ValueError for one of another layout."""
    fields = json.loads(text)
    if fields.get("layout") != LAYOUT:
        raise ValueError(f"this file has layout {fields.get('layout')}, not {LAYOUT}")
    return RunRecord(machine=fields["machine"], rows={name: row_from(row) for name, row in fields["rows"].items()})


def newest_kept() -> Path | None:
    """Return the kept file with the latest date in its name."""
    kept = sorted(path for path in RESULTS.glob("20*.json"))
    return kept[-1] if kept else None
