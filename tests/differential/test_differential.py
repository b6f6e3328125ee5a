"""Notebooks run the same with cells under `%%gpu`: outputs, values, aliases and files after every cell."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.differential.corpus import check, check_well, marked, quick
from tests.differential.notebook import all_notebooks, read
from tests.differential.oracle import NotebookBroken, Oracle
from tests.differential.shipped import shipped_notebooks


@pytest.mark.parametrize("path", quick(), ids=lambda path: path.stem)
@pytest.mark.parametrize("which", ["all", "seed 1"])
def test_a_small_notebook_is_the_same(oracle: Oracle, path: Path, which: str) -> None:
    """With all cells remote, and with some, nothing can be told from a local run."""
    check(oracle, path, which)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", marked(libraries=False))
def test_a_notebook_is_the_same(oracle: Oracle, path: Path) -> None:
    """Every notebook of the corpus, those that use large libraries apart (`test_libraries.py`)."""
    check_well(oracle, path)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_what_is_known_to_differ_still_does(oracle: Oracle) -> None:
    """A cell with the word `differs` does; when it no longer does, the word goes."""
    for path in all_notebooks():
        for number, cell in enumerate(read(path).cells, 1):
            if cell.differs:
                findings = oracle.findings(read(path), str(number))
                assert findings is not None, f"{path.stem}, cell {number} is the same now: take `differs` away"
                assert findings.cell == number - 1, str(findings)


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
