"""One runtime for all notebooks, with a simulated card."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.oracle import Oracle, runtime


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """An oracle; its folder has a short path as there will be sockets in it."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder, runtime(Path(folder)):
        yield Oracle(Path(folder))
