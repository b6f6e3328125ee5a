"""Any process may be killed while a cell runs, and the database locked: what is kept, what is told, what it costs."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.journeys.broken import CELL, LINES, Fault, Notebook, check, is_gone, kill, notebook, suffer, wait_for

__all__ = ["notebook"]

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(sys.platform != "linux", reason="kills by /proc")]

LOCKED_S = 12.0  # longer than the store is patient


def kill_runtime(notebook: Notebook) -> None:
    """Kill the control plane."""
    kill(notebook.runtime_pid())


def kill_runtime_twice(notebook: Notebook) -> None:
    """Kill it, and the one that takes its place as soon as it says that it is there."""
    first = notebook.runtime_pid()
    kill(first)
    wait_for(lambda: _other_runtime(notebook, first), "no other runtime came")
    kill(notebook.runtime_pid())


def lock_database(notebook: Notebook) -> None:
    """Hold the write lock for longer than anybody waits for it."""
    [store] = (notebook.folder / "data").glob("store.sqlite3")
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(LOCKED_S)
        connection.execute("ROLLBACK")


FAULTS = [
    Fault("kernel child", lambda notebook: kill(notebook.child()), says="SIGKILL"),
    Fault("agent", lambda notebook: kill(notebook.agent()), says="agent ended", ends="container"),
    Fault("supervisor", lambda notebook: kill(notebook.supervisor()), says="killed", ends="container"),
    Fault("container", lambda notebook: kill(*notebook.container()), says="killed", ends="container"),
    Fault("zygote", lambda notebook: kill(notebook.zygote())),
    Fault("control plane", kill_runtime),
    Fault("control plane twice", kill_runtime_twice),
    Fault("database locked", lock_database),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_while_a_cell_runs(notebook: Notebook, fault: Fault, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing acknowledged is lost, nothing runs twice, output comes once, the bill is true, the next cell works."""
    processes = notebook.container()
    outcome = suffer(notebook, fault, capsys)
    check(notebook, fault, outcome)
    if fault.ends:
        assert all(is_gone(pid) for pid in processes)


def test_a_killed_zygote_is_replaced(notebook: Notebook) -> None:
    """The next container has another parent."""
    before = notebook.zygote()
    kill(before)
    notebook.shell.run_line_magic("gpu_reset", "")
    assert notebook.run("again = 5").success
    assert notebook.names["again"] == 5
    assert notebook.zygote() != before


def test_a_killed_notebook_lets_its_container_go(notebook: Notebook, tmp_path: Path) -> None:
    """On the same host the runtime sees at once that the kernel is gone: the cell ends, the bill closes."""
    with other_notebook(tmp_path, 'print("up", flush=True)\nimport time\ntime.sleep(120)') as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "up\n"
        other.kill()
    with notebook.plane() as plane:
        wait_for(lambda: sum(bool(session.container_id) for session in plane.sessions()) <= 1, "its container runs")
        wait_for(lambda: len({entry.container_id for entry in plane.usage().entries}) == 1, "it is not billed")


@pytest.mark.slow
def test_a_suspended_notebook_goes_on_where_it_was(notebook: Notebook, tmp_path: Path) -> None:
    """A laptop that sleeps for 20 s: the cell goes on, and every line of it is there once afterwards."""
    with other_notebook(
        tmp_path, CELL.replace("/shelf/ran", "ran").replace(str(LINES), "400") + "\nprint('end')"
    ) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == "0\n"
        os.kill(it.pid, signal.SIGSTOP)
        time.sleep(20)
        os.kill(it.pid, signal.SIGCONT)
        heard = it.stdout.read()
    assert heard == "".join(f"{number}\n" for number in range(1, 400)) + "end\n"


@contextlib.contextmanager
def other_notebook(folder: Path, code: str, options: str = ""):  # type: ignore[no-untyped-def]
    """Run a cell in a process of its own."""
    script = folder / "other.py"
    script.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\nshell.run_line_magic('load_ext', 'cellburst')\n"
        f"result = shell.run_cell({f'%%gpu A100 --quiet {options}' + chr(10) + code!r})\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _other_runtime(notebook: Notebook, first: int) -> bool:
    with contextlib.suppress(ValueError, OSError):
        return notebook.runtime_pid() != first
    return False
