"""User code that does nothing stands still, and goes on before anything is asked of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_bridge.protocol.notes import Hibernate, Stop
from remote_runtime.agent.freezer import Rest, why_not
from remote_runtime.providers import cgroups
from remote_runtime.providers.cgroup_layout import detect
from remote_runtime.providers.cgroups import Cgroups, Limits

AFTER_S = 0.2
WAIT_S = 30.0

needs_freezer = pytest.mark.skipif(
    not any(hierarchy.unified for hierarchy in detect()),
    reason="this user may make no groups of version 2 on this host, and version 1 is not used for freezing",
)
Start = Callable[..., Any]


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (Rest(idle_s=11, used_cpu_s=0.0), ""),
        (Rest(idle_s=9, used_cpu_s=0.0), "it was needed 9.0 s ago"),
        (Rest(idle_s=11, used_cpu_s=0.1), ""),
        (Rest(idle_s=11, used_cpu_s=5.5), "it used the processor for 5.50 s"),
        (Rest(idle_s=11, used_cpu_s=0.0, awake=("thread watcher",)), "thread watcher goes on"),
        (Rest(idle_s=11, used_cpu_s=0.0, waiting=1, processes=2), ""),
        (Rest(idle_s=11, used_cpu_s=0.0, waiting=1, processes=3), "it has 1 processes of which nothing is known"),
    ],
)
def test_what_keeps_user_code_running(rest: Rest, reason: str) -> None:
    """Recent use, work that shows as processor time, what the child names, and processes nobody knows."""
    assert why_not(rest, 10.0) == reason


class Group:
    """A container's control group, seen from outside."""

    def __init__(self, directories: tuple[str, ...]) -> None:
        self.directories = directories
        [self._cell] = [
            path for each in directories if (path := Path(each, "cell")) / "cgroup.freeze" in path.iterdir()
        ]

    @property
    def frozen(self) -> bool:
        return "frozen 1" in (self._cell / "cgroup.events").read_text()

    def pids(self) -> list[int]:
        return [int(word) for word in (self._cell / "cgroup.procs").read_text().split()]

    def cpu_us(self) -> int:
        return int((self._cell / "cpu.stat").read_text().split()[1])


@pytest.fixture
def group() -> Iterator[Group]:
    """Groups of this test's own, with nothing left in them afterwards."""
    made = Cgroups(detect(), f"freezer-{os.getpid()}")
    directories = made.create("ctr_1", Limits())
    yield Group(directories)
    cgroups.end(directories)
    made.close()


@pytest.fixture
def frozen(start: Start, group: Group) -> Any:
    """A container that has run a cell and was frozen."""
    container = start(cgroups=group.directories, freeze_after_s=AFTER_S, heartbeat_s=60.0, log_level="debug")
    container.run("kept = [1]")
    wait_for(lambda: group.frozen)
    return container


@needs_freezer
def test_the_next_cell_finds_everything(frozen: Any, group: Group) -> None:
    """It uses no processor meanwhile, its agent says so, and a stop ends what stands still."""
    assert frozen.said("heartbeat").frozen
    before_us = group.cpu_us()
    time.sleep(3 * AFTER_S)
    assert (group.cpu_us(), group.frozen) == (before_us, True)
    frozen.run("kept.append(2)", may_change=("kept",))
    assert frozen.namespace["kept"] == [1, 2]
    wait_for(lambda: group.frozen)
    frozen.plane.tell(Stop())
    wait_for(lambda: Path(frozen.config.exit_file).exists() and not group.pids())


@pytest.mark.slow
@needs_freezer
def test_whatever_is_asked_of_it_wakes_it(frozen: Any, group: Group) -> None:
    """A question, an interrupt (which hits nothing), a save; then it stands still again."""
    assert frozen.ask("state_request", {}).content["background"] == []
    wait_for(lambda: group.frozen)
    frozen.interrupt()
    wait_for(lambda: lines(frozen, "user code goes on") == 2 and group.frozen)
    frozen.run("import time; time.sleep(0.5)")  # should the signal be late, it hits this
    frozen.run("kept.append(2)", may_change=("kept",))
    assert frozen.namespace["kept"] == [1, 2]
    wait_for(lambda: group.frozen)
    frozen.plane.tell(Hibernate())
    saved = frozen.said("saved")
    assert saved.failed == ""
    assert "kept" in saved.names


@pytest.mark.slow
@needs_freezer
def test_without_a_control_plane_it_is_saved_from_where_it_stands(start: Start, group: Group) -> None:
    """Then everything ends."""
    container = start(cgroups=group.directories, freeze_after_s=AFTER_S, runtime_lost_after_s=1.0)
    container.run("kept = [1]")
    wait_for(lambda: group.frozen)
    container.plane.refuses = True
    container.plane.drop()
    wait_for(lambda: Path(container.config.exit_file).exists() and not group.pids())
    assert json.loads(Path(container.config.exit_file).read_text())["saved"]["names"] == ["kept"]


WORK = {
    "thread watcher": "import threading, time\nstop = threading.Event()\nticks = []\n"
    "def work():\n    while not stop.wait(0.01): ticks.append(1)\n"
    "threading.Thread(target=work, name='watcher', daemon=True).start()|stop.set()",
    "asyncio task work": "import asyncio\nasync def work(): await asyncio.sleep(600)\n"
    "task = asyncio.create_task(work())|task.cancel()",
    "a timer of the event loop": "timer = asyncio.get_running_loop().call_later(600, print)|timer.cancel()",
    "a socket of the event loop": "server = await asyncio.start_server(print, 'localhost', 0)|server.close()",
    "thread Thread-": "timer = threading.Timer(600, print)\ntimer.start()|timer.cancel()",
    "thread ThreadPoolExecutor": "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\n"
    "idle = threading.Event()\ndone = pool.submit(idle.wait, 600)|idle.set()",
    "an alarm": "import signal\nold = signal.setitimer(0, 600)|signal.setitimer(0, 0)",
    "process ": "import subprocess\nchild = subprocess.Popen(['sleep', '600'])|child.kill(); child.wait()",
    "it has 1 processes": "import os\nos.system('sleep 600 & echo $! > pid')|os.kill(int(open('pid').read()), 9)",
}


@pytest.mark.slow
@needs_freezer
@pytest.mark.timeout(180)
def test_what_works_between_cells_goes_on(frozen: Any, group: Group) -> None:
    """Threads, tasks, timers, listeners and processes, also one whose parent is gone; without them it stands still."""
    for reason, code in WORK.items():
        goes_on(frozen, group, reason, *code.split("|"))
    reply, _ = frozen.run("assert len(ticks) > 3")
    assert reply.content["status"] == "ok"


def goes_on(container: Any, group: Group, reason: str, begin: str, end: str) -> None:
    """Check that what one cell begins keeps the container running, for a reason, until another has ended it."""
    before = lines(container, f"not frozen: {reason}")
    container.run(begin)
    wait_for(lambda: lines(container, f"not frozen: {reason}") > before, reason)
    assert not group.frozen
    container.run(end)
    wait_for(lambda: group.frozen, f"without {reason}")


def lines(container: Any, text: str) -> int:
    """Count the lines of a container's log that say something."""
    return Path(container.config.log_file).read_text().count(f'"message": "{text}')


def wait_for(happened: Callable[[], object], what: str = "it") -> None:
    """Wait until something is true; fails where it does not become true."""
    deadline_s = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline_s, f"{what} did not happen"
        time.sleep(0.01)
