"""The map is true: who imports whom, and how long a file may be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("jupyter_ext", "kernel_bridge", "remote_runtime")
MAX_LINES = 450  # longer than this, a file has a second purpose


def test_every_import_contract_holds() -> None:
    """The contracts of pyproject.toml are kept by the whole tree."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_files_have_one_purpose(package: str) -> None:
    """No file of the product is longer than the budget."""
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / package).rglob("*.py")}
    assert {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_the_front_door_is_small() -> None:
    """cellburst.py re-exports and does nothing else."""
    assert len((ROOT / "cellburst.py").read_text().splitlines()) < 60
