"""A model cache is filled once: others wait, and a dead one's place is taken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import cellburst
from kernel_bridge.errors import BadOption, NotFound


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cell with a model cache."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def test_it_is_filled_once(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of four that start together one fetches; those that come later do not wait."""
    fetched: list[int] = []
    go_on = threading.Event()

    def fetch() -> None:
        assert (cache / "torch").is_dir()
        fetched.append(1)
        assert go_on.wait(60)

    threads = [threading.Thread(target=cellburst.fill_once, args=("model", fetch)) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = ""
    while said.count("waiting for it") < 3:
        said += capsys.readouterr().err
    go_on.set()
    for thread in threads:
        thread.join()
    assert fetched == [1]
    assert not cellburst.fill_once("model", fetch)


def test_who_failed_has_not_filled_it() -> None:
    """The next one fetches."""
    with pytest.raises(ZeroDivisionError):
        cellburst.fill_once("model", lambda: 1 / 0)
    assert cellburst.fill_once("model", lambda: None)


def test_a_dead_holder_holds_nobody_up(cache: Path) -> None:
    """However it died, and even by SIGKILL in the middle."""
    code = (
        "import cellburst, time\ncellburst.fill_once('model', lambda: (print('fetching', flush=True), time.sleep(600)))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"fetching\n"
        holder.send_signal(signal.SIGKILL)
    assert (cache / ".cellburst" / "model.lock").exists()
    assert cellburst.fill_once("model", lambda: None)


def test_without_a_cache_it_says_what_to_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder may be named instead; a name that is a path may not."""
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("TORCH_HOME")
    with pytest.raises(NotFound, match="--model-cache NAME"):
        cellburst.fill_once("model", lambda: None)
    assert cellburst.fill_once("model", lambda: None, folder=tmp_path / "own")
    with pytest.raises(BadOption):
        cellburst.fill_once("../model", lambda: None)
