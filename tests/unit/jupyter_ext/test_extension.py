"""Loading and unloading, and the magics' answers that need no runtime."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jupyter_ext

NAMES = ("gpu_status", "gpu_stop", "gpu_reset", "gpu_get", "gpu_connect", "gpu_config", "gpu_keep_warm", "gpu")


@pytest.fixture
def loaded(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("DATA", "CONFIG", "RUNTIME"):
        monkeypatch.setenv(f"CELLBURST_{name}_DIR", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    jupyter_ext.load_ipython_extension(shell)
    yield shell
    jupyter_ext.unload_ipython_extension(shell)


def test_loading_twice_is_loading_once(loaded: Any) -> None:
    """The second `%load_ext` does not forget the sessions of the first."""
    before = loaded.magics_manager.magics["line"]["gpu"]
    jupyter_ext.load_ipython_extension(loaded)
    assert loaded.magics_manager.magics["line"]["gpu"] == before
    assert all(name in loaded.magics_manager.magics["line"] for name in NAMES)


def test_unloading_takes_the_magics_away(loaded: Any) -> None:
    """Nothing of ours stays in the shell."""
    jupyter_ext.unload_ipython_extension(loaded)
    assert not any(name in loaded.magics_manager.magics["line"] for name in NAMES)
    assert "gpu" not in loaded.magics_manager.magics["cell"]


def test_the_first_cell_can_load_it(shell: Any, tmp_path: Path) -> None:
    """With IPython's lazy magics no `%load_ext` is needed."""
    shell.magics_manager.lazy_magics = dict.fromkeys(NAMES, "jupyter_ext")
    try:
        assert shell.run_cell("%%gpu --dry-run\n1").success
    finally:
        jupyter_ext.unload_ipython_extension(shell)


def test_importing_it_starts_nothing() -> None:
    """No thread, no child, no file, until a cell asks for something."""
    code = "import threading, cellburst, jupyter_ext; print(threading.active_count())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (found.stdout.strip(), found.stderr) == ("1", "")


def test_a_dry_run_says_what_would_travel(loaded: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Names with types and sizes, files, the image and the card; nothing is started."""
    (tmp_path / "a.csv").write_text("1,2")
    loaded.run_cell("x = [1, 2]").raise_error()
    loaded.run_cell("%%gpu H100 --dry-run\nreader.read('a.csv', x)").raise_error()
    out = capsys.readouterr().out
    for expected in ("x: list", "file a.csv: 3 B", "image notebook", "card H100"):
        assert expected in out
    assert not (tmp_path / "RUNTIME").exists()


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%gpu", "nothing to run"),
        ("%%gpu --colour\n1", "not an option"),
        ("%%gpu --image x --dry-run\n1", "NameError"),
        ("%%gpu --image 3 --dry-run\n1", "is of type int"),
        ("%gpu_keep_warm", "%gpu_keep_warm 2h"),
        ("%gpu_get", "%gpu_get results/model.bin"),
        ("%gpu_connect", "without the token"),
        ("%gpu_connect ftp://x", "not a runtime's address"),
        ("%gpu_config gpu", "gpu=VALUE"),
        ("%gpu_config colour=red", "no setting"),
        ("%gpu_stop", "no session"),
        ("%gpu_reset s1", "no session"),
        ("%gpu_status now", "takes no arguments"),
    ],
)
def test_bad_input_is_answered_in_one_line(
    loaded: Any, capsys: pytest.CaptureFixture[str], cell: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to write instead, and no traceback."""
    monkeypatch.setattr("getpass.getpass", lambda prompt: "token")
    assert not loaded.run_cell(cell).success
    shown = "".join(capsys.readouterr()).strip()
    assert says in shown
    assert len(shown.splitlines()) == 1


def test_settings_are_kept_for_the_next_cell(loaded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A bare cell takes the notebook's default card."""
    loaded.run_cell("%gpu_config gpu=L4 memory=16G").raise_error()
    loaded.run_cell("%%gpu --dry-run\n1").raise_error()
    assert "card L4" in capsys.readouterr().out
