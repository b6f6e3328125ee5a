"""Any process may be killed while a cell runs: what the notebook sees, and that the next cell works."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.client.embedded import ensure_runtime, running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(sys.platform != "linux", reason="kills by /proc")]

COUNT = "import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.05)\nlast = i"
COUNTED = "".join(f"{i}\n" for i in range(40))


class Notebook:
    """A shell with the extension, on an embedded runtime of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shell = InteractiveShell()
        self.shell.run_line_magic("load_ext", "cellburst")

    def run(self, code: str) -> Any:
        """Run a `%%gpu` cell; returns IPython's result."""
        return self.shell.run_cell(f"%%gpu A100 --quiet\n{code}")

    @property
    def names(self) -> dict[str, Any]:
        return self.shell.user_ns

    def plane(self) -> ControlPlane:
        return ControlPlane(ensure_runtime(ClientConfig.load()))

    def runtime_pid(self) -> int:
        [file] = self.folder.rglob("runtime.json")
        return int(json.loads(file.read_text())["pid"])

    def processes(self) -> dict[str, int]:
        """Return the container's processes by their part: supervisor, agent, child, and the zygote above them."""
        [zygote] = [pid for pid in _pids() if self._is_zygote(pid) and not self._is_zygote(_parent(pid))]
        [supervisor] = [pid for pid in _pids() if _parent(pid) == zygote and self._is_zygote(pid)]
        agent, child = sorted(pid for pid in _pids() if _parent(pid) == supervisor)[:2]
        return {"zygote": zygote, "supervisor": supervisor, "agent": agent, "child": child}

    def _is_zygote(self, pid: int) -> bool:
        line = _command(pid)
        return "remote_runtime.agent.zygote" in line and str(self.folder) in line


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose first cell has run: everything is up."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"CELLBURST_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("CELLBURST_SIMULATE_GPUS", "A100:2")
    monkeypatch.setenv("CELLBURST_HEARTBEAT_S", "0.5")
    made = Notebook(tmp_path)
    assert made.run("before = 1").success
    yield made
    made.shell.run_line_magic("unload_ext", "cellburst")
    if running_runtime(ClientConfig.load()) is not None:
        with made.plane() as plane:
            plane.stop_runtime()
        wait_until_gone(ClientConfig.load())


@contextlib.contextmanager
def killing(pid: int, after_s: float = 0.7) -> Iterator[None]:
    """Kill a process in the middle of what is done meanwhile."""
    timer = threading.Timer(after_s, os.kill, (pid, signal.SIGKILL))
    timer.start()
    yield
    timer.join()


def test_a_killed_child_fails_the_cell_with_its_cause(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """What it had printed is there; the next cell runs in the same container, in an empty namespace."""
    with killing(notebook.processes()["child"]):
        result = notebook.run(COUNT)
    assert type(result.error_in_exec).__name__ == "SessionLost"
    assert "SIGKILL" in str(result.error_in_exec)
    assert capsys.readouterr().out.startswith("0\n1\n2\n")
    assert notebook.run("after = before + 1").success
    assert notebook.names["after"] == 2


@pytest.mark.parametrize("part", ["agent", "supervisor"])
def test_a_killed_container_fails_the_cell_and_its_bill_ends(notebook: Notebook, part: str) -> None:
    """Nothing of it is left running, the ledger closes, and the next cell starts another container."""
    processes = notebook.processes()
    with killing(processes[part]):
        result = notebook.run(COUNT)
    ended_s = time.time()
    assert type(result.error_in_exec).__name__ == "SessionLost"
    assert notebook.run("after = before + 1").success
    assert notebook.names["after"] == 2
    assert _gone(processes["child"]) and _gone(processes["supervisor"])
    with notebook.plane() as plane:
        closed = plane.usage().entries
    assert closed
    assert all(line.ended_at_s <= ended_s + 1 for line in closed)


def test_a_killed_zygote_costs_nothing(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """Running containers go on; another zygote takes its place for the next."""
    with killing(notebook.processes()["zygote"]):
        assert notebook.run(COUNT).success
    assert capsys.readouterr().out == COUNTED
    notebook.shell.run_line_magic("gpu_reset", "")
    assert notebook.run("again = 5").success
    assert notebook.names["again"] == 5


def test_a_killed_control_plane_loses_no_line(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """The notebook starts it again, it adopts the container, and the output goes on where it was."""
    before = notebook.processes()["child"]
    with killing(notebook.runtime_pid()):
        assert notebook.run(COUNT).success
    assert capsys.readouterr().out == COUNTED
    assert notebook.names["last"] == 39
    assert notebook.processes()["child"] == before


def test_a_killed_notebook_lets_its_container_go(notebook: Notebook, tmp_path: Path) -> None:
    """On the same host the runtime sees at once that the kernel is gone: the cell ends, the bill closes."""
    script = tmp_path / "other.py"
    script.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\nshell.run_line_magic('load_ext', 'cellburst')\n"
        "shell.run_cell('%%gpu A100 --quiet\\nprint(\"up\", flush=True)\\nimport time\\ntime.sleep(120)')\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "up\n"
        other.kill()
    with notebook.plane() as plane:
        deadline_s = time.monotonic() + 30
        while sum(bool(session.container_id) for session in plane.sessions()) > 1:
            assert time.monotonic() < deadline_s, "its container still runs"
            time.sleep(0.2)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _gone(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
