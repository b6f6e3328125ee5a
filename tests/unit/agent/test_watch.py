"""What a container says of its limits, where it has control groups and where it has none."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from kernel_bridge.protocol.containers import ContainerConfig
from remote_runtime.agent.limits import Watch, join, more_memory, open_files

GIB = 1 << 30


def config_of(*groups: Path, memory_bytes: int = 2 * GIB, pids: int = 64) -> ContainerConfig:
    return ContainerConfig(
        container_id="c", session_id="s", epoch="e", control_url="", token="", python="", work_dir="",
        memory_bytes=memory_bytes, pids=pids, cgroups=tuple(map(str, groups)),
    )  # fmt: skip


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A made-up v2 group of a container that has used all it may."""
    made = tmp_path / "cellburst-1" / "ctr_1"
    (made / "agent").mkdir(parents=True)
    (made / "cell").mkdir()
    files = {
        "agent/cgroup.procs": "",
        "cell/cgroup.procs": "",
        "cell/memory.events": "low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\noom_group_kill 0\n",
        "cell/pids.events": "max 0\n",
        "cell/pids.max": "64\n",
        "memory.max": f"{2 * GIB}\n",
        "memory.peak": f"{2 * GIB}\n",
        "../memory.max": f"{20 * GIB}\n",
    }
    for name, text in files.items():
        (made / name).write_text(text)
    return made


@pytest.mark.parametrize(
    ("limit", "host", "said"),
    [
        (2 * GIB, 64 * GIB, "ask for more with `--memory 4G`"),
        (512 << 20, 64 * GIB, "ask for more with `--memory 1G`"),
        (3 * GIB, 64 * GIB, "ask for more with `--memory 8G`"),
        (300 << 20, 64 * GIB, "ask for more with `--memory 1G`"),
        (16 * GIB, 24 * GIB, "this host has 24.0 GiB in all"),
    ],
)
def test_the_next_sensible_size(limit: int, host: int, said: str) -> None:
    """A power of two, at least twice as much, unless the host has no more."""
    assert more_memory(limit, host) == said


def test_joining_writes_the_own_process_first(group: Path) -> None:
    """The supervisor goes to the agent's part; 0 means whoever writes."""
    join(config_of(group))
    assert (group / "agent/cgroup.procs").read_text() == "0"
    assert (group / "cell/cgroup.procs").read_text() == ""


def test_without_a_limit_of_its_own_the_common_one_is_named(group: Path) -> None:
    """All cells of a runtime share what the host can spare."""
    (group / "memory.max").write_text("max\n")
    watch = join(config_of(group, memory_bytes=0))
    (group / "cell/memory.events").write_text("oom_kill 1\n")
    assert watch.describe_oom() == (
        "it ran out of memory: all cells of this runtime together may use 20.0 GiB, peak 2.0 GiB"
    )


def test_a_kill_without_an_oom_is_somebody_elses(group: Path) -> None:
    """The count is what tells them apart."""
    assert join(config_of(group)).describe_kill() == (
        "it was killed (SIGKILL) by another process; it was not out of memory"
    )


def test_without_groups_nothing_is_claimed() -> None:
    """A host that has none: the likeliest cause is named as such, and nothing fails."""
    watch = join(config_of())
    assert watch.describe_oom() is None
    assert watch.describe_crowd() is None
    assert "most often" in watch.describe_kill()
    watch.end_leftovers()


def test_what_is_handed_in_is_used(group: Path, tmp_path: Path) -> None:
    """A supervisor that cannot see the directory gets the descriptors."""
    files = open_files((str(group),))
    watch = join(config_of(tmp_path / "unseen"), files)
    (group / "cell/memory.events").write_text("oom_kill 1\n")
    assert "limit 2.0 GiB" in (watch.describe_oom() or "")


@pytest.mark.parametrize("grouped", [True, False])
def test_a_cell_gets_limits_of_its_own(group: Path, grouped: bool) -> None:
    """No core files; the user's processes are bounded where no group does it; and it goes before the agent."""
    watch = Watch(config_of(), open_files((str(group),)) if grouped else {})
    before = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        watch.enter_cell()
        core, most = resource.getrlimit(resource.RLIMIT_CORE)[1], resource.getrlimit(resource.RLIMIT_NPROC)[0]
        score = Path("/proc/self/oom_score_adj").read_text().strip()
        os.write(write, f"{core} {score} {most != before}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read) as said:
        assert said.read() == f"1 500 {not grouped}"
