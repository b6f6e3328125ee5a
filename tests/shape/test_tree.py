"""What is committed is good anywhere: no addresses, no paths of the machine it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Written so that this file does not match itself.
REGISTRY = re.compile(r"p[y]pi\.org|p[y]thonhosted|n[p]mjs\.(?:org|com)|d[e]b\.debian\.org|download\.p[y]torch")
MACHINE = re.compile(r"(?<![\w.])/(?:[w]ork/(?:main|shared|notes|\.)|[r]oot/|[o]pt/(?:wh[e]els|p[y]pi))")
BINARY = {".png", ".gz", ".zip", ".whl", ".npy", ".ico"}


def committed() -> list[Path]:
    """Return the files git tracks or would track, or skip outside a clone."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git checkout")
    return [
        path for path in map(ROOT.joinpath, done.stdout.splitlines()) if path.suffix not in BINARY and path.is_file()
    ]


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE], ids=["registry host", "machine path"])
def test_no_file_names_it(pattern: re.Pattern[str]) -> None:
    """Neither a package registry's host nor a path of somebody's machine is in the tree."""
    found = {
        str(path.relative_to(ROOT)): match[0] for path in committed() if (match := pattern.search(path.read_text()))
    }
    assert found == {}


def test_the_locks_pin_every_package_by_hash() -> None:
    """Each requirement is one version with hashes; torch is left to the machine; no option lines."""
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        entries = re.split(r"\n(?=\S)", lock.read_text().strip())
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries), lock.name
        assert not any(entry.startswith(("-", "torch==")) for entry in entries), lock.name


def test_the_notebooks_are_committed_without_outputs() -> None:
    """An output in a committed notebook is stale the day after."""
    notebooks = [path for path in committed() if path.suffix == ".ipynb"]
    assert notebooks
    assert [path.name for path in notebooks if re.search(r'"outputs": \[\s*\{', path.read_text())] == []
