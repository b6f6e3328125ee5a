"""One row in a process of its own, so that no row finds the threads, memory or failures of the one before."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import machine
from benchmarks.harness.contest import Effort
from benchmarks.harness.figures import figure
from benchmarks.harness.records import RowRecord, row_from
from benchmarks.harness.verdicts import Promise, judge
from benchmarks.subject.runtime import own_environment

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 400.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a row found: seconds by contestant, and remarks that belong to these very figures."""

    seconds: dict[str, list[float]]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a module of `benchmarks.rows` exports as `ROW`. Its docstring says how it is measured."""

    title: str
    measure: Callable[[Effort], Measured]
    ours: Sequence[str]
    reference: str = ""
    limits: Sequence[str] = ()
    promises: Sequence[Promise] = ()
    memory_bytes: int = 0  # touched before anything is timed


def measured_apart(name: str, effort: Effort) -> RowRecord:
    """Measure a row in a process of its own; one that fails leaves a record that says so."""
    with tempfile.TemporaryDirectory(prefix="cellburst-bench-") as folder:
        into = Path(folder) / "row.json"
        command = [
            sys.executable,
            "-m",
            "benchmarks.harness.row",
            name,
            "--scale",
            str(effort.scale),
            "--into",
            str(into),
        ]
        try:
            subprocess.run(command, cwd=ROOT, env=_environment(folder), check=False, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return _failed(name, f"took longer than {LIMIT_S:.0f} s")
        return row_from(json.loads(into.read_text())) if into.exists() else _failed(name, "ended without a result")


def main() -> int:
    """Measure one row and write its record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--into", type=Path, required=True)
    asked = parser.parse_args()
    try:
        record = measure(asked.name, Effort(scale=asked.scale))
    except Exception as error:  # noqa: BLE001 - whatever a peer raises; the other rows are measured all the same
        traceback.print_exc()
        record = _failed(asked.name, f"{type(error).__name__}: {error}"[:500])
    asked.into.write_text(json.dumps(asdict(record)))
    sys.stdout.flush()
    os._exit(0)  # a peer's threads must not keep us


def measure(name: str, effort: Effort) -> RowRecord:
    """Measure a row here and judge what it promises."""
    row, how = _load(name)
    began_s, load = time.perf_counter(), machine.load()
    if row.memory_bytes:
        machine.wake_memory(row.memory_bytes)
    found = row.measure(effort)
    figures = {who: figure(seconds) for who, seconds in found.seconds.items() if seconds}
    return RowRecord(
        name=name,
        title=row.title,
        how=how,
        reference=row.reference,
        figures=figures,
        ours=tuple(row.ours),
        limits=tuple(row.limits),
        verdicts=tuple(judge(promise, figures) for promise in row.promises if promise.contestant in figures),
        notes=found.notes,
        measured_at=machine.now(),
        load=load,
        seconds=round(time.perf_counter() - began_s, 1),
    )


def _load(name: str) -> tuple[Row, str]:
    module = importlib.import_module(f"benchmarks.rows.{name}")
    row: Row = module.ROW
    return row, (module.__doc__ or "").strip()


def _failed(name: str, why: str) -> RowRecord:
    row, how = _load(name)
    return RowRecord(
        name=name, title=row.title, how=how, reference="", figures={}, ours=(), measured_at=machine.now(), failed=why
    )


def _environment(folder: str) -> dict[str, Any]:
    """Return the environment of a row: our settings and Jupyter's in a folder of its own, compiled modules allowed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CELLBURST_", "PYTHONDONT"))}
    jupyter = {
        "IPYTHONDIR": f"{folder}/ipython",
        "JUPYTER_RUNTIME_DIR": f"{folder}/jupyter",
        "PYTHONWARNINGS": "ignore",
    }
    return {**env, **jupyter, **own_environment(Path(folder))}


if __name__ == "__main__":
    sys.exit(main())
