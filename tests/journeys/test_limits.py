"""A cell takes too much memory, processes or disk: it ends with limit and use, and nobody else is hit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.client.embedded import ensure_runtime, running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig
from kernel_bridge.errors import NoCapacity
from remote_runtime.providers.cgroup_layout import detect
from remote_runtime.providers.cgroups import Cgroups

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")]

needs_groups = pytest.mark.skipif(
    not {"memory", "cpu", "pids"} <= Cgroups(detect(), "none").controllers,
    reason="this user may make no memory, cpu and pids groups on this host",
)

MEMORY_BOMB = "held = []\nwhile True:\n    held.append(bytearray(8 << 20))"
FORK_BOMB = """
import os, time
parent = os.getpid()
while True:
    try:
        os.fork()
    except OSError:
        if os.getpid() == parent:
            raise
        time.sleep(600)
"""
# Slow enough that the watch sees it in time on a busy machine, and stubborn: a full disk does not stop it.
DISK_BOMB = """
import itertools, time
for number in itertools.count():
    try:
        with open(f"big{number % 1000}", "ab") as file:
            file.write(bytes(2 << 20))
    except OSError:
        pass
    time.sleep(0.01)
"""
TWO_BUSY = """
import os, time
def spin(until):
    while time.monotonic() < until:
        pass
until = time.monotonic() + 2
other = os.fork()
spin(until)
if other == 0:
    os._exit(0)
os.waitpid(other, 0)
mine, theirs = time.process_time(), os.times()
used = theirs.user + theirs.system + theirs.children_user + theirs.children_system
"""


OTHER = "--session other"
TIDY_UP = """
import glob, os
for name in glob.glob("big*"):
    os.remove(name)
left = len(glob.glob("big*"))
"""


class Notebook:
    """A shell with the extension; sessions of other names have containers of their own."""

    def __init__(self) -> None:
        self.shell = InteractiveShell()
        self.shell.run_line_magic("load_ext", "cellburst")

    def run(self, code: str, options: str = "") -> Any:
        return self.shell.run_cell(f"%%gpu cpu --quiet {options}\n{code}")

    @property
    def names(self) -> Any:
        return self.shell.user_ns


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook on a runtime of its own, which starts with the first cell."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"CELLBURST_{name}_DIR", str(tmp_path / name.lower()))
    made = Notebook()
    yield made
    made.shell.run_line_magic("unload_ext", "cellburst")
    if running_runtime(ClientConfig.load()) is not None:
        with ControlPlane(ensure_runtime(ClientConfig.load())) as plane:
            plane.stop_runtime()
        wait_until_gone(ClientConfig.load())


@needs_groups
def test_a_cell_that_eats_memory_is_told_its_limit_and_peak(notebook: Notebook) -> None:
    """The session lives: the next cell works, and another session never noticed."""
    assert notebook.run("kept = 1", OTHER).success
    failed = notebook.run(MEMORY_BOMB, "--memory 512M").error_in_exec
    assert type(failed).__name__ == "SessionLost"
    assert "it ran out of memory: limit 512 MiB, peak 51" in str(failed)
    assert "ask for more with `--memory 1G`" in str(failed)
    assert notebook.run("after = 1 + 1", "--memory 512M").success
    assert notebook.names["after"] == 2
    assert notebook.run("kept = kept + 1", OTHER).success
    assert notebook.names["kept"] == 2


@needs_groups
def test_a_fork_bomb_is_contained(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its cell hears of the limit, another session starts processes as ever, and a stop ends every fork."""
    monkeypatch.setenv("CELLBURST_PIDS", "48")
    assert notebook.run("kept = 1", OTHER).success
    failed = notebook.run(FORK_BOMB).error_in_exec
    assert isinstance(failed, OSError)
    shown = capsys.readouterr()
    assert "a session's cells may have 48 of them" in shown.out + shown.err
    assert notebook.run("import subprocess\nsaid = subprocess.check_output(['echo', 'fine'], text=True)", OTHER).success
    assert notebook.names["said"] == "fine\n"
    notebook.run("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert notebook.run("import subprocess\nagain = subprocess.check_output(['echo', 'fine'], text=True)").success
    assert notebook.names["again"] == "fine\n"


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_ends_the_cell_that_filled_it(small_disk: Path, notebook: Notebook) -> None:
    """The reserve stays free, so that the store and other sessions go on; files can be deleted in the next cell."""
    assert notebook.run("kept = 1", OTHER).success
    failed = notebook.run(DISK_BOMB).error_in_exec
    assert type(failed).__name__ == "SessionLost"
    assert "the disk ran full" in str(failed)
    assert "256 MiB has to stay" in str(failed)
    found = os.statvfs(small_disk)
    assert found.f_bavail * found.f_frsize > 32 << 20
    assert notebook.run("open('mine', 'w').write('x' * 1000)\nkept = kept + 1", OTHER).success
    assert notebook.run(TIDY_UP).success
    assert notebook.names["left"] == 0


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory on 512 MiB of its own, of which 256 MiB are the reserve."""
    folder = tmp_path / "data"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "none", folder], check=False).returncode:
        pytest.skip("this host allows no mounts")
    monkeypatch.setenv("CELLBURST_DISK_RESERVE", "256M")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_session_over_its_disk_budget_is_told_limit_and_use(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any privilege: the files of one session are bounded, and the next cell may tidy up."""
    monkeypatch.setenv("CELLBURST_DISK", "16M")
    failed = notebook.run(DISK_BOMB).error_in_exec
    assert type(failed).__name__ == "SessionLost"
    assert "limit 16 MiB" in str(failed)
    assert notebook.run(TIDY_UP).success
    assert notebook.names["left"] == 0


@needs_groups
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core is no limit on a machine with one")
def test_cores_are_a_limit(notebook: Notebook) -> None:
    """Two busy processes with `--cpu 0.5` get half a core between them, however busy the machine is."""
    started_s = time.monotonic()
    assert notebook.run(TWO_BUSY, "--cpu 0.5").success
    elapsed_s = time.monotonic() - started_s
    assert notebook.names["used"] < 0.75 * elapsed_s


@pytest.mark.parametrize(("options", "named"), [("--memory 900T", "921600.0 GiB"), ("--cpu 1000", "1000 cores")])
def test_more_than_the_host_has_never_starts(notebook: Notebook, options: str, named: str) -> None:
    """The cell fails at once, naming what was asked for and what the host has."""
    failed = notebook.run("x = 1", options).error_in_exec
    assert isinstance(failed, NoCapacity)
    assert named in str(failed)
    assert "can have up to" in str(failed)
    with ControlPlane(ensure_runtime(ClientConfig.load())) as plane:
        assert not plane.sessions()
