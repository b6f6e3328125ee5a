"""The oracle: one runtime with a simulated card, a notebook's local run, and its other runs held against that."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kernel_bridge.client.embedded import running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig
from tests.differential.compare import Findings, compare
from tests.differential.kernel import After, run
from tests.differential.notebook import Notebook

_EXTENSION: Final = "%load_ext cellburst"


class NotebookBroken(AssertionError):
    """The notebook does not run locally as it says."""


class Oracle:
    """Runs notebooks and compares; a notebook's local run is kept for all its choices of remote cells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "work" / "notebook"
        self._local: dict[str, list[After]] = {}

    def findings(self, notebook: Notebook, which: str) -> Findings | None:
        """Return what differs when the cells `which` are remote (`none`: a second local run); None if nothing does."""
        here = self._locally(notebook)
        remote = frozenset[int]() if which == "none" else notebook.chosen(which)
        with contextlib.closing(run(notebook, remote, self._folder, _EXTENSION if remote else "")) as there:
            return compare(notebook, remote, here, there)

    def _locally(self, notebook: Notebook) -> list[After]:
        known = self._local.get(notebook.name)
        if known is None:
            known = self._local[notebook.name] = list(run(notebook, frozenset(), self._folder))
            for number, (cell, after) in enumerate(zip(notebook.cells, known, strict=True), 1):
                if cell.raises != bool(after.error):
                    raise NotebookBroken(f"{notebook.name}, cell {number}: {after.error or 'it was to raise'}")
        return known


@contextlib.contextmanager
def runtime(folder: Path) -> Iterator[None]:
    """Settings of an embedded runtime in this folder, which the first remote cell starts; stopped in the end."""
    settings = {f"CELLBURST_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    settings |= {"IPYTHONDIR": str(folder / "ipython"), "CELLBURST_SIMULATE_GPUS": "A100:1", "PYTHONHASHSEED": "0"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ |= settings
    try:
        yield
    finally:
        _stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _stop() -> None:
    config = ClientConfig.load()
    if running_runtime(config) is not None:
        with ControlPlane(config.embedded_address()) as plane:
            plane.stop_runtime()
        wait_until_gone(config)
