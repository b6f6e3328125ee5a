"""What is tested is what is shipped."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sysconfig
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["cellburst", "jupyter_ext", "kernel_bridge", "remote_runtime"])
def test_the_packages_come_from_site_packages(name: str) -> None:
    """The tests see the installed wheel, not the checkout."""
    module = importlib.import_module(name)
    assert Path(module.__file__ or "").is_relative_to(sysconfig.get_path("purelib"))


def test_the_install_is_a_wheel_and_not_editable() -> None:
    """A file missing from the wheel must show up as a failing test."""
    recorded = importlib.metadata.distribution("cellburst").read_text("direct_url.json") or "{}"
    assert "editable" not in json.loads(recorded).get("dir_info", {})


def test_the_wheel_holds_the_packages_and_nothing_else() -> None:
    """Tests, notebooks and docs stay out of site-packages."""
    files = importlib.metadata.distribution("cellburst").files or []
    tops = {file.parts[0] for file in files if not file.parts[0].startswith((".", "cellburst-"))}
    assert tops - {"__pycache__"} == {"cellburst.py", "jupyter_ext", "kernel_bridge", "remote_runtime"}
