"""Tables of cases: what is run here, what is run as a `%%gpu` cell, and what is true here afterwards.

A row is true of plain IPython too: `python -m tests.state.table` runs rows there, so that a table cannot ask of a
remote cell what a local one would not do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell

_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row. `says` is a text the cell must print or end with, where an exception is what is wanted."""

    id: str  # the case's number in the list of cases, and what it is about
    here: str = ""
    there: str
    after: str = "True"
    options: str = ""  # of the `%%gpu` line
    raises: str = ""  # the class of the exception that ends the cell
    here_differs: str = ""  # why plain IPython does otherwise, where it is meant to

    def __str__(self) -> str:
        return self.id


def run_remotely(shell: InteractiveShell, case: Case, card: str = "A100") -> None:
    """Run a row with its cell under `%%gpu`; raises AssertionError."""
    _run(shell, case, f"%%gpu {card} {case.options}\n{case.there}")


def failures_here(cases: Sequence[Case]) -> dict[str, str]:
    """Run the rows in a plain IPython of their own; return what failed, by row."""
    asked = json.dumps([asdict(case) for case in cases if not case.here_differs])
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"PYTHONPATH": str(_ROOT), "IPYTHONDIR": folder}
        command = [sys.executable, "-m", "tests.state.table"]
        done = subprocess.run(command, input=asked, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("\n\x1e")[2])
    assert isinstance(found, dict)
    return found


def _run(shell: InteractiveShell, case: Case, cell: str) -> None:
    prepared = shell.run_cell(case.here, store_history=True)
    assert prepared.success, prepared.error_in_exec
    result = shell.run_cell(cell, store_history=True)
    error = result.error_before_exec or result.error_in_exec
    assert (type(error).__name__ if error else "") == case.raises, error
    checked: Any = shell.run_cell(f"assert {case.after}" if "\n" not in case.after else case.after)
    assert checked.success, f"{case.after}: {checked.error_in_exec!r}"


def _main() -> None:
    sys.path.insert(0, "")  # as a kernel has it
    shell, failed = InteractiveShell(), dict[str, str]()
    for row in json.load(sys.stdin):
        case = Case(**row)
        try:
            _run(shell, case, case.there)
        except AssertionError as error:
            failed[case.id] = str(error)
    print(f"\n\x1e{json.dumps(failed)}")


if __name__ == "__main__":
    _main()
