"""Rows about sleep: what is run here, in a `%%gpu` cell, after the session has slept, and what is true here then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Nap:
    """One row. Rows of a table share one sleep, so each has names of its own."""

    id: str
    here: str = ""
    there: str
    later: str
    after: str = "True"
    options: str = ""
    here_differs: str = ""

    def __str__(self) -> str:
        return self.id

    def awake(self) -> Case:
        """Return the row for plain IPython, which never sleeps."""
        return Case(
            id=self.id,
            here=f"{self.here}\n",
            there=f"{self.there}\n{self.later}",
            after=self.after,
            here_differs=self.here_differs,
        )


def put_to_sleep(shell: InteractiveShell, naps: Sequence[Nap]) -> dict[str, str]:
    """Run the first halves, and let the session sleep; return what failed, by row."""
    failed = {}
    for nap in naps:
        for cell in (nap.here, f"%%gpu A100 --quiet {nap.options}\n{nap.there}"):
            if (error := error_of(shell.run_cell(cell))) is not None:
                failed[nap.id] = repr(error)
    shell.run_line_magic("gpu_stop", "")
    return failed


def wake(shell: InteractiveShell, nap: Nap) -> None:
    """Run the other half of a row; raises AssertionError."""
    error = error_of(shell.run_cell(f"%%gpu A100 --quiet {nap.options}\n{nap.later}"))
    assert error is None, repr(error)
    checked = shell.run_cell(nap.after if "\n" in nap.after else f"assert {nap.after}")
    assert checked.success, f"{nap.after}: {checked.error_in_exec!r}"


def remotely(shell: InteractiveShell, code: str, options: str = "") -> None:
    """Run a `%%gpu` cell that succeeds; raises AssertionError."""
    error = error_of(shell.run_cell(f"%%gpu A100 {options}\n{code}", store_history=True))
    assert error is None, repr(error)


def state_folder() -> Path:
    """Return where the one session of this notebook keeps its state."""
    [found] = Path(os.environ["CELLBURST_DATA_DIR"]).glob("sessions/*/state")
    return found


def error_of(result: Any) -> BaseException | None:
    """Return what ended a cell."""
    found: BaseException | None = result.error_before_exec or result.error_in_exec
    return found
