"""The notebooks of the corpus that use large libraries. A file of their own: the long tests run two files at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.corpus import check_well, marked
from tests.differential.oracle import Oracle


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", marked(libraries=True))
def test_a_notebook_with_libraries_is_the_same(oracle: Oracle, path: Path) -> None:
    """With all cells remote, and with some, nothing can be told from a local run."""
    check_well(oracle, path)
