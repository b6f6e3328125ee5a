"""The notebooks of the corpus as tests take them, and what each is held to."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path

import pytest

from tests.differential.notebook import all_notebooks, read
from tests.differential.oracle import Oracle

_LIBRARIES = {
    *("matplotlib", "networkx", "numpy", "pandas", "plotly", "polars", "pydantic"),
    *("scipy", "sklearn", "sympy", "torch"),
}


def quick() -> list[Path]:
    """Return those that run with the quick tests."""
    return [path for path in all_notebooks() if path.stem.startswith("quick_")]


def marked(*, libraries: bool) -> list[object]:
    """Return the others as parameters: those that use large libraries, or those that do not."""
    return [_parameter(path) for path in all_notebooks() if path not in quick() and _is_large(path) is libraries]


def check_well(oracle: Oracle, path: Path) -> None:
    """Hold a notebook to its local run with all cells remote, and with cells drawn by a seed of its own."""
    for which in ("all", f"seed {zlib.crc32(path.stem.encode()) % 1000}"):
        check(oracle, path, which)


def check(oracle: Oracle, path: Path, which: str) -> None:
    """Hold a notebook to its local run; raises AssertionError, or skips what needs packages that are not here."""
    notebook = read(path)
    if missing := sorted(
        module for module in notebook.imports & _LIBRARIES if importlib.util.find_spec(module) is None
    ):
        pytest.skip(f"needs {', '.join(missing)}")
    findings = oracle.findings(notebook, which)
    assert findings is None, f"{which}\n{findings}"


def _is_large(path: Path) -> bool:
    return not read(path).imports.isdisjoint(_LIBRARIES)


def _parameter(path: Path) -> object:
    torch = "torch" in read(path).imports
    return pytest.param(path, marks=pytest.mark.torch if torch else pytest.mark.slow, id=path.stem)
