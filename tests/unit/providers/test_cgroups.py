"""Control groups of containers: what is written into a made-up v2 tree, and what this machine's kernel does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_bridge.protocol.containers import ContainerConfig
from remote_runtime.agent import limits as inside
from remote_runtime.providers import cgroups
from remote_runtime.providers.cgroup_layout import Hierarchy, detect
from remote_runtime.providers.cgroups import Cgroups, Limits

KEY = f"test-{os.getpid()}"
LIMITS = Limits(memory_bytes=256 << 20, cpu=0.5, pids=20)

needs_groups = pytest.mark.skipif(
    not {"memory", "cpu", "pids"} <= Cgroups(detect(), KEY).controllers,
    reason="this user may make no memory, cpu and pids groups on this host",
)


def test_what_a_v2_kernel_is_told(tmp_path: Path) -> None:
    """Controllers are given on along the way, memory may not swap, the cells' leaf bounds the processes."""
    base = tmp_path / "app.slice"
    hierarchy = Hierarchy(base=base, top=tmp_path, controllers=frozenset({"memory", "cpu", "pids"}), unified=True)
    [group] = Cgroups([hierarchy], "key", memory_bytes=1 << 30).create("ctr_1", LIMITS)
    texts = {str(path.relative_to(base)): path.read_text() for path in base.rglob("*") if path.is_file()}
    assert group == str(base / "cellburst-key/ctr_1")
    assert texts == {
        "cgroup.subtree_control": "+cpu +memory +pids",
        "cellburst-key/cgroup.subtree_control": "+cpu +memory +pids",
        "cellburst-key/ctr_1/cgroup.subtree_control": "+cpu +memory +pids",
        "cellburst-key/memory.max": str(1 << 30),
        "cellburst-key/memory.swap.max": "0",
        "cellburst-key/ctr_1/memory.max": str(256 << 20),
        "cellburst-key/ctr_1/memory.swap.max": "0",
        "cellburst-key/ctr_1/cpu.max": "50000 100000",
        "cellburst-key/ctr_1/cell/pids.max": "20",
    }


def test_a_tree_that_cannot_be_written_gives_no_groups(tmp_path: Path) -> None:
    """The container starts without, which the log says."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    hierarchy = Hierarchy(base=blocked, top=tmp_path, controllers=frozenset({"memory"}), unified=True)
    assert Cgroups([hierarchy], "key").create("ctr_1", LIMITS) == ()


@pytest.fixture
def made() -> Iterator[Cgroups]:
    """This machine's groups, and none of them left."""
    made = Cgroups(detect(), KEY)
    yield made
    left = [str(path) for one in detect() for path in one.base.glob(f"cellburst-{KEY}/*/")]
    cgroups.end(left)
    made.close()
    assert not [path for one in detect() for path in one.base.glob(f"cellburst-{KEY}*")]


def in_group(groups: tuple[str, ...], code: str, *, pids: int = 20) -> subprocess.Popen[str]:
    """Run Python as a cell of these groups; it reads a line before it begins."""
    config = ContainerConfig(
        container_id="ctr_1", session_id="", epoch="", control_url="", token="", python="", work_dir="", cgroups=groups,
        memory_bytes=LIMITS.memory_bytes, pids=pids,
    )  # fmt: skip
    joined = "from remote_runtime.agent.limits import join\nfrom kernel_bridge.protocol.containers import *\n"
    script = f"{joined}watch = join({config!r})\nwatch.enter_cell()\n{code}"
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def watching(groups: tuple[str, ...]) -> inside.Watch:
    """Return a watch from outside the groups, as the supervisor's."""
    config = ContainerConfig(
        container_id="ctr_1", session_id="", epoch="", control_url="", token="", python="", work_dir="", cgroups=groups,
        memory_bytes=LIMITS.memory_bytes, pids=LIMITS.pids,
    )  # fmt: skip
    return inside.Watch(config, inside.open_files(groups))


@needs_groups
def test_memory_that_runs_out_is_told_with_limit_and_peak(made: Cgroups) -> None:
    """The kernel kills the cell and counts it; asked again, nothing new has happened."""
    groups = made.create("ctr_1", LIMITS)
    watch = watching(groups)
    assert watch.describe_oom() is None
    bomb = in_group(groups, "held = []\nwhile True: held.append(bytearray(1 << 20))")
    bomb.communicate()
    assert bomb.returncode == -9
    said = watch.describe_kill()
    assert said == "it ran out of memory: limit 256 MiB, peak 256 MiB; ask for more with `--memory 512M`"
    assert watch.describe_oom() is None
    assert "by another process" in watch.describe_kill()


@needs_groups
def test_processes_are_counted_and_all_killed(made: Cgroups) -> None:
    """A bomb of forks meets the limit; what it left goes at once, and the limit is as it was."""
    groups = made.create("ctr_1", LIMITS)
    watch = watching(groups)
    code = (
        "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: os.write(1, b'full\\n'); time.sleep(60)"
    )
    bomb = in_group(groups, code)
    assert bomb.stdout is not None
    assert bomb.stdout.readline() == "full\n"
    assert watch.describe_crowd() == ("a process or thread could not be started: a session's cells may have 20 of them")
    watch.end_leftovers()
    bomb.communicate()
    assert all(Path(group, "cell/cgroup.procs").read_text() == "" for group in groups)
    [most] = [file for group in groups if (file := Path(group, "cell/pids.max")).exists()]
    assert most.read_text() == "20\n"


@needs_groups
def test_ending_groups_kills_and_removes_them(made: Cgroups) -> None:
    """The last resort of stop, and success the second time."""
    groups = made.create("ctr_1", LIMITS)
    sleeper = in_group(groups, "import time\nprint('up', flush=True)\ntime.sleep(60)")
    assert sleeper.stdout is not None
    assert sleeper.stdout.readline() == "up\n"
    made.reap()  # it is not empty: it stays
    assert all(Path(group).is_dir() for group in groups)
    cgroups.end(groups)
    sleeper.communicate()
    assert sleeper.returncode == -9
    assert not any(Path(group).exists() for group in groups)
    cgroups.end(groups)


@needs_groups
def test_empty_groups_are_reaped(made: Cgroups) -> None:
    """What a runtime that was killed left goes when it starts again."""
    groups = made.create("ctr_1", LIMITS)
    Cgroups(detect(), KEY).reap()
    assert not any(Path(group).exists() for group in groups)


@needs_groups
def test_descriptors_opened_by_root_serve_another_user(made: Cgroups) -> None:
    """Who made the groups opens their files; a supervisor that is nobody can still join, kill and tell."""
    if os.getuid() != 0:
        pytest.skip("becoming another user takes root")
    groups = made.create("ctr_1", LIMITS)
    files = inside.open_files(groups)
    pid = os.fork()
    if pid == 0:
        os.setresuid(65534, 65534, 65534)
        for key, descriptor in files.items():
            if key.endswith(":cell/cgroup.procs"):
                os.write(descriptor, b"0")
        os._exit(0 if "ctr_1/cell" in Path("/proc/self/cgroup").read_text() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for descriptor in files.values():
        os.close(descriptor)


@needs_groups
def test_what_is_frozen_can_be_killed(made: Cgroups) -> None:
    """Where the host has a v2 tree; freezing needs no controller."""
    groups = made.create("ctr_1", LIMITS)
    has_v2 = any(hierarchy.unified for hierarchy in detect())
    assert cgroups.can_freeze(groups) is has_v2
    assert cgroups.can_freeze(()) is False
