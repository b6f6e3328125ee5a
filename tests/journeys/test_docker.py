"""A notebook on a runtime whose containers are a container engine's: what works in processes works there, too."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.config import ClientConfig
from tests.engines import IMAGE, Engine, engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
_COMMAND = "import sys; from kernel_bridge.cli.main import main; sys.exit(main())"


@dataclass
class Runtime:
    """A runtime served by hand, which a test may kill.

    Notebooks reach it by TCP, so its containers, some of which have no network, reach it by a socket of their own.
    """

    env: dict[str, str]
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def serve(self) -> None:
        """Start it and return when it listens."""
        told = self.folder / "runtime.json"
        told.unlink(missing_ok=True)
        options = ["--provider", "docker,process", "--host", "127.0.0.1", "--port", str(self.port)]
        command = [sys.executable, "-c", _COMMAND, "runtime", "serve", *options]
        with (self.folder.parent / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        deadline_s = time.monotonic() + 60
        while not told.exists():
            assert time.monotonic() < deadline_s, (self.folder.parent / "serve.log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Have it save, end its containers and go."""
        subprocess.run([sys.executable, "-c", _COMMAND, "runtime", "stop"], env=self.env, check=False, timeout=120)
        if self.process is not None:
            self.process.wait(timeout=60)


class Notebook:
    """Cells, and what they print."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self._shell = shell
        self._capsys = capsys

    def __getitem__(self, name: str) -> Any:
        return self._shell.user_ns[name]

    def run(self, code: str, *, ok: bool = True) -> str:
        """Run a cell that must succeed, or fail; returns what was shown."""
        self._capsys.readouterr()
        ran = self._shell.run_cell(code, store_history=True)
        printed = self._capsys.readouterr()
        assert ran.success is ok, printed.out + printed.err
        return printed.out + printed.err


@pytest.fixture(scope="module")
def dockerd() -> Iterator[Engine]:
    """An engine of this file's own, for it is killed."""
    with engine("docker") as made:
        yield made


@pytest.fixture(scope="module")
def runtime(config: ClientConfig, dockerd: Engine) -> Iterator[Runtime]:
    """A runtime with the engine before processes."""
    env = os.environ | {"DOCKER_HOST": dockerd.url, "CELLBURST_DOCKER_IMAGE": IMAGE}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Runtime(env, config.runtime_dir, port)
    config.runtime_dir.mkdir(parents=True, exist_ok=True)
    made.serve()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def shell(runtime: Runtime) -> Iterator[InteractiveShell]:
    """A kernel beside it."""
    del runtime
    made = InteractiveShell()
    made.run_line_magic("load_ext", "cellburst")
    yield made
    made.run_line_magic("unload_ext", "cellburst")
    atexit.unregister(made.atexit_operations)
    made.atexit_operations()


@pytest.fixture
def notebook(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Notebook:
    return Notebook(shell, capsys)


def containers(dockerd: Engine) -> list[str]:
    """Return the containers that run."""
    return dockerd.run("ps", "--quiet", "--filter", "label=dev.cellburst.container").stdout.split()


def test_state_goes_out_and_results_come_home(notebook: Notebook, dockerd: Engine) -> None:
    """Names, changes in place, an array through the shared memory, output and files, in a container of the engine's."""
    notebook.run("items = [1, 2]\nimport numpy as np\nbig = np.arange(2_000_000)")
    shown = notebook.run(
        "%%gpu cpu\nimport os\nitems.append(3)\ntotal = int(big.sum())\nopen('made.txt', 'w').write('here')\n"
        "big *= 2\nprint('uid', os.getuid(), os.path.exists('/cellburst'))"
    )
    assert "True" in shown
    assert "uid 0" not in shown
    assert notebook["items"] == [1, 2, 3]
    assert notebook["total"] == sum(range(2_000_000))
    assert int(notebook["big"][-1]) == 2 * 1_999_999
    assert Path("made.txt").read_text() == "here"
    assert len(containers(dockerd)) == 1


def test_cells_have_no_privilege_and_see_nothing_of_the_agents(notebook: Notebook) -> None:
    """No capability, nothing to gain by a program, no way to the agent's socket, its memory or how it ended."""
    notebook.run(
        "%%gpu cpu\nimport os\nstatus = dict(l.split(':\\t') for l in open('/proc/self/status') if ':\\t' in l)\n"
        "def may(path):\n    try:\n        return bool(os.listdir(path) or True)\n"
        "    except OSError:\n        return False\n"
        "seen = [p for p in ('/cellburst/own', '/cellburst/door', '/proc/1/fd') if may(p)]"
    )
    status = notebook["status"]
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert notebook["seen"] == []


def test_a_container_without_a_network_works(notebook: Notebook) -> None:
    """The agent's channel is a socket that is mounted, so nothing else is needed."""
    notebook.run(
        "%%gpu cpu --no-network\nimport socket\nfaces = [name for _, name in socket.if_nameindex()]\nitems.append(4)"
    )
    assert notebook["faces"] == ["lo"]
    assert notebook["items"][-1] == 4


def test_out_of_memory_is_told_with_limit_and_peak(notebook: Notebook) -> None:
    """The kernel's own count says so; the session goes on."""
    shown = notebook.run("%%gpu cpu --memory 300M\nblock = bytearray(1 << 30)", ok=False)
    assert "ran out of memory: limit 300 MiB, peak " in shown
    assert "--memory 1G" in shown
    notebook.run("%%gpu cpu --memory 300M\nalive = True")
    assert notebook["alive"]


def test_a_session_may_say_where(notebook: Notebook, dockerd: Engine) -> None:
    """With several providers a cell picks one, and is told which there are."""
    before = len(containers(dockerd))
    notebook.run("%%gpu cpu --provider process\nimport os\ninside = os.path.exists('/cellburst')")
    assert notebook["inside"] is False
    assert len(containers(dockerd)) == before
    assert "this runtime has docker, process" in notebook.run("%%gpu cpu --provider ray\n1", ok=False)


def test_a_restarted_control_plane_adopts_containers(notebook: Notebook, runtime: Runtime, dockerd: Engine) -> None:
    """It finds them by their handles; what a container holds is still there."""
    notebook.run("%%gpu cpu --leave kept\nkept = [object()]\nname = id(kept)")
    running = set(containers(dockerd))
    runtime.kill()
    runtime.serve()
    notebook.run("%%gpu cpu\nsame = id(kept) == name")
    assert notebook["same"]
    assert set(containers(dockerd)) == running


def test_an_engine_that_dies_is_reported_and_recovered_from(
    notebook: Notebook, dockerd: Engine, config: ClientConfig
) -> None:
    """A restarted engine ends what it finds: the cell says so, and the next one has a container again."""

    def crash() -> None:
        deadline_s = time.monotonic() + 60
        while not list(config.data_dir.glob("sessions/*/work/runs")) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        dockerd.kill()
        dockerd.start()

    crashing = threading.Thread(target=crash)
    crashing.start()
    shown = notebook.run(
        "%%gpu cpu\nimport time\nopen('runs', 'w').close()\nwhile True:\n    time.sleep(0.1)", ok=False
    )
    crashing.join()
    assert "SessionLost" in shown
    assert "engine" in shown
    notebook.run("%%gpu cpu\nitems.append(5)")
    assert notebook["items"][-1] == 5


def test_nothing_is_left_when_the_runtime_stops(runtime: Runtime, shell: InteractiveShell, dockerd: Engine) -> None:
    """Containers are saved, ended and removed."""
    del shell
    runtime.stop()
    assert dockerd.run("ps", "--all", "--quiet").stdout.split() == []
    runtime.serve()
