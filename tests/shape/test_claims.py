"""What the pages on security and faults claim names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TESTS = {path: path.read_text() for path in (REPOSITORY / "tests").rglob("*.py")}


@pytest.mark.parametrize("page", ["security.md", "faults.md"])
def test_every_named_test_exists(page: str) -> None:
    """A claim whose test was renamed or removed is no claim."""
    text = (REPOSITORY / "docs" / page).read_text()
    named = set(re.findall(r"(?<![\w/])(test_\w+)(?!\w*\.py)\b", text))
    assert len(named) > 10
    known = {name for source in TESTS.values() for name in re.findall(r"def (test_\w+)", source)}
    known |= {path.stem for path in TESTS}
    # `test_a_fork_...` stands for the one it begins.
    begun = {name for name in named if name.endswith("_") and any(one.startswith(name) for one in known)}
    assert not named - known - begun
