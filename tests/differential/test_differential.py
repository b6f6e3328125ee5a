"""Notebooks run the same with cells under `%%gpu`: outputs, values, aliases and files after every cell."""

from __future__ import annotations

import contextlib
import importlib.util
import random
from pathlib import Path

import pytest

from tests.differential.notebook import all_notebooks, read
from tests.differential.oracle import NotebookBroken, Oracle
from tests.differential.shipped import shipped_notebooks

_QUICK = [path for path in all_notebooks() if path.stem.startswith("quick_")]
_MORE = [path for path in all_notebooks() if path not in _QUICK]

_DIFFER = [
    pytest.param(path, number, cell.differs, id=f"{path.stem}-{number}")
    for path in all_notebooks()
    for number, cell in enumerate(read(path).cells, 1)
    if cell.differs
]


def _marked(path: Path) -> object:
    torch = "torch" in read(path).imports
    return pytest.param(path, marks=(pytest.mark.wide, pytest.mark.torch if torch else pytest.mark.slow), id=path.stem)


@pytest.mark.parametrize("path", _QUICK, ids=lambda path: path.stem)
@pytest.mark.parametrize("which", ["all", "seed 1"])
def test_a_small_notebook_is_the_same(oracle: Oracle, path: Path, which: str) -> None:
    """With all cells remote, and with some, nothing can be told from a local run."""
    _check(oracle, path, which)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", [_marked(path) for path in _MORE])
def test_a_notebook_is_the_same(oracle: Oracle, path: Path) -> None:
    """Every notebook of the corpus with all cells remote.

    One in three, by chance, also locally a second time, which must agree with the first, and with cells drawn by
    chance: with all of it for every notebook this file would take a quarter of an hour.
    """
    dice = random.SystemRandom()
    more = ("none", f"seed {dice.randrange(10_000)}") if dice.randrange(3) == 0 else ()
    for which in ("all", *more):
        print(f"{path.stem}: {which}")
        _check(oracle, path, which)


@pytest.mark.timeout(600)
@pytest.mark.wide
@pytest.mark.slow
@pytest.mark.parametrize(("path", "number", "why"), _DIFFER)
def test_what_is_known_to_differ_still_does(oracle: Oracle, path: Path, number: int, why: str) -> None:
    """A cell with the word `differs` does; when it no longer does, the word goes."""
    findings = oracle.findings(read(path), str(number))
    assert findings is not None, f"{path.stem}, cell {number} is the same now: take `differs` away"
    assert findings.cell == number - 1, str(findings)
    pytest.xfail(why)


@pytest.mark.wide
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_notebooks_that_packages_ship_are_the_same(oracle: Oracle) -> None:
    """Notebooks that nobody wrote for this purpose, as far as they run locally here."""
    different = []
    for path in shipped_notebooks():
        with contextlib.suppress(NotebookBroken):
            findings = oracle.findings(read(path), "all")
            different += [str(findings)] if findings else []
    assert not different, "\n\n".join(different)


def _check(oracle: Oracle, path: Path, which: str) -> None:
    notebook = read(path)
    own = {child.stem for child in notebook.files.iterdir()} if notebook.files else set()
    if missing := sorted(module for module in notebook.imports - own if importlib.util.find_spec(module) is None):
        pytest.skip(f"needs {', '.join(missing)}")
    findings = oracle.findings(notebook, which)
    assert findings is None, f"{which}\n{findings}"
