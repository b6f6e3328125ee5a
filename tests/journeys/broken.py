"""What every fault has in common: a notebook with a cell that runs, the processes to strike, and what must hold after.

Processes are found by what they are (the container's handle in the store, who listens on the agent's socket, the pid a
cell sees), not by where they stand in a process tree.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext import unload_ipython_extension
from kernel_bridge.client.embedded import ensure_runtime, running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig

HEARTBEAT_S: Final = 0.5
LINES: Final = 60
CELL: Final = (
    "import time\nwith open('/shelf/ran', 'a') as f: n = f.write('x')\n"
    f"for i in range({LINES}):\n    print(i, flush=True)\n    time.sleep(0.05)\nlast = i"
)
PRINTED: Final = "".join(f"{i}\n" for i in range(LINES))
_WAIT_S: Final = 60.0


class Notebook:
    """A shell with the extension, on an embedded runtime of its own, with a volume at /shelf."""

    def __init__(self, folder: Path, card: str = "A100") -> None:
        self.folder = folder
        self.card = card
        self.shell = InteractiveShell()
        self.shell.run_line_magic("load_ext", "cellburst")
        with self.plane() as plane:
            plane.create_volume("shelf")

    def run(self, code: str, options: str = "") -> Any:
        """Run a `%%gpu` cell; returns IPython's result."""
        return self.shell.run_cell(f"%%gpu {self.card} --quiet --volume shelf:/shelf {options}\n{code}")

    @property
    def names(self) -> dict[str, Any]:
        return self.shell.user_ns

    def plane(self) -> ControlPlane:
        return ControlPlane(ensure_runtime(ClientConfig.load()))

    def ran(self) -> int:
        """Return how often the cell has begun, as the world outside the container sees it."""
        [shelf] = [path for path in (self.folder / "data").glob("volumes/**/shelf") if path.is_dir()]
        ran = shelf / "ran"
        return len(ran.read_text()) if ran.exists() else 0

    def runtime_pid(self) -> int:
        """Return the control plane's process."""
        [file] = self.folder.glob("runtime/runtime.json")
        return int(json.loads(file.read_text())["pid"])

    def supervisor(self) -> int:
        """Return the process the provider knows the container by."""
        [store] = (self.folder / "data").glob("store.sqlite3")
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            rows = connection.execute("select handle from containers where ended_at_s is null and handle is not null")
            [handle] = [json.loads(found) for (found,) in rows]
        return int(handle["pid"])

    def zygote(self) -> int:
        """Return the process that forks containers."""
        pid = self.supervisor()
        while "remote_runtime.agent.zygote" in command(parent(pid)):
            pid = parent(pid)
        return pid

    def agent(self) -> int:
        """Return who listens on the container's socket."""
        listeners = {
            line.split()[6]
            for line in Path("/proc/net/unix").read_text().splitlines()
            if line.endswith("agent.sock") and line.split()[3] == "00010000"
        }
        [pid] = [pid for pid in below(self.supervisor()) if sockets(pid) & listeners]
        return pid

    def child(self) -> int:
        """Return the process that runs the cells."""
        seen = self.names["me"]
        [pid] = [pid for pid in below(self.supervisor()) if inner_pid(pid) == seen and pid != self.agent()]
        return pid

    def container(self) -> list[int]:
        """Return every process of the container."""
        supervisor = self.supervisor()
        return [supervisor, *below(supervisor)]


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose first cell has run: everything is up."""
    with in_folder(tmp_path, monkeypatch) as made:
        yield made


@contextlib.contextmanager
def in_folder(folder: Path, patch: pytest.MonkeyPatch, card: str = "A100") -> Iterator[Notebook]:
    """Start a notebook and its runtime in a folder; stop them afterwards."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        patch.setenv(f"CELLBURST_{name}_DIR", str(folder / name.lower()))
    patch.setenv("CELLBURST_SIMULATE_GPUS", "A100:2")
    patch.setenv("CELLBURST_HEARTBEAT_S", str(HEARTBEAT_S))
    (folder / "notebook").mkdir()
    patch.chdir(folder / "notebook")
    made = Notebook(folder, card)
    try:
        assert made.run("import os\nme = os.getpid()\nbefore = [1]").success
        yield made
    finally:
        unload_ipython_extension(made.shell)
        if running_runtime(ClientConfig.load()) is not None:
            with made.plane() as plane:
                plane.stop_runtime()
            wait_until_gone(ClientConfig.load())


@dataclass(frozen=True)
class Fault:
    """One row of the matrix. `strike` is called while the cell runs; `says` is None where the cell succeeds."""

    name: str
    strike: Callable[[Notebook], object]
    says: str | None = None
    ends: str = ""  # whose end is the container's end; empty: the container outlives it


@dataclass
class Outcome:
    """What the notebook saw."""

    result: Any
    printed: str
    began_s: float
    ended_s: float | None  # when the container's process was gone


def suffer(notebook: Notebook, fault: Fault, capsys: pytest.CaptureFixture[str]) -> Outcome:
    """Run the cell, and let it happen when a few lines are there."""
    capsys.readouterr()
    supervisor, begun = notebook.supervisor(), notebook.ran()
    gone: list[float] = []

    def strike() -> None:
        wait_for(lambda: notebook.ran() > begun, "the cell did not begin")
        time.sleep(0.5)
        fault.strike(notebook)
        if fault.ends:
            wait_for(lambda: is_gone(supervisor), "the container is still there")
            gone.append(time.time())

    striker = threading.Thread(target=strike)
    began_s = time.time()
    striker.start()
    result = notebook.run(CELL)
    striker.join(_WAIT_S)
    return Outcome(result, capsys.readouterr().out, began_s, gone[0] if gone else None)


def check(notebook: Notebook, fault: Fault, outcome: Outcome) -> None:
    """Check the six promises: nothing lost, nothing doubled, output once, a message, a next cell, a true bill."""
    assert notebook.names["before"] == [1]
    assert notebook.ran() == 1
    if fault.says is None:
        assert outcome.result.success, outcome.result.error_in_exec
        assert outcome.printed == PRINTED
        assert notebook.names["last"] == LINES - 1
    else:
        lines = [line for line in outcome.printed.splitlines() if line.isdigit()]
        assert lines == [str(number) for number in range(len(lines))][: LINES - 1]
        assert len(lines) > 3
        error = outcome.result.error_in_exec
        assert type(error).__name__ == "SessionLost"
        assert fault.says in str(error)
        assert "\n" not in str(error).strip()
        assert "Traceback" not in outcome.printed
    assert notebook.run("before.append(2)\nafter = 2").success
    assert (notebook.names["before"], notebook.names["after"]) == ([1, 2], 2)
    check_bill(notebook, outcome)


def check_bill(notebook: Notebook, outcome: Outcome) -> None:
    """Check that every container is billed for its life and no longer, once, and the one that ended to its end."""
    with notebook.plane() as plane:
        if outcome.ended_s is None:
            assert plane.usage().entries == ()
        for session in plane.sessions():
            plane.stop_session(session.id)
        entries = plane.usage().entries
    lives: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for entry in entries:
        lives[entry.container_id, entry.resource].append(entry)
    for lines in lives.values():
        assert len({line.use for line in lines}) == len(lines)
        life_s = lines[0].ended_at_s - lines[0].started_at_s
        assert sum(line.duration_ms for line in lines) / 1000 == pytest.approx(life_s, abs=0.002)
    ends = sorted({entry.ended_at_s for entry in entries})
    assert len(ends) == (1 if outcome.ended_s is None else 2)
    if outcome.ended_s is not None:
        assert outcome.ended_s - 3 * HEARTBEAT_S - 1.0 <= ends[0] <= outcome.ended_s + 0.5


def kill(*pids: int) -> None:
    """Kill processes as if at one moment: none can act while the others die."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def wait_for(true: Callable[[], bool], else_: str, within_s: float = _WAIT_S, every_s: float = 0.02) -> None:
    """Look again and again."""
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, else_
        time.sleep(every_s)


def below(pid: int) -> list[int]:
    """Return a process's descendants."""
    found, pending = [], [pid]
    while pending:
        for task in Path(f"/proc/{pending.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = [int(word) for word in task.read_text().split()]
                found += children
                pending += children
    return found


def parent(pid: int) -> int:
    """Return a process's parent, 0 when there is none."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def command(pid: int) -> str:
    """Return a process's command line."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def inner_pid(pid: int) -> int:
    """Return the number by which a process knows itself."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def sockets(pid: int) -> set[str]:
    """Return the inodes of a process's sockets."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for has."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
