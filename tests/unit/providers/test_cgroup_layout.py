"""Which control groups a host offers, from made-up trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from remote_runtime.providers.cgroup_layout import (
    Hierarchy,
    detect,
    find,
    memory_limit,
    parse_mounts,
    parse_own,
    read_limit,
)

V1 = """\
30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
"""
UNIFIED = "35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
V2 = "31 25 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_OWN = "9:name=systemd:/\n8:pids:/\n4:memory:/jobs/one\n1:cpu,cpuacct:/\n0::/\n"


def tree(root: Path, **files: str) -> None:
    """Make groups with these files; `__` stands for a slash, `_DOT_` for a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def v2(root: Path, groups: dict[str, dict[str, str]]) -> Path:
    """Make a v2 tree below `root`; a group is free of processes and limits unless its files say otherwise."""
    point = root / "sys/fs/cgroup"
    for group, files in groups.items():
        folder = point / group.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        usual = {"cgroup.controllers": "cpu io memory pids", "cgroup.procs": "", "cgroup.subtree_control": ""}
        usual |= {} if group == "/" else {"cgroup.type": "domain", "memory.max": "max", "cpu.max": "max 100000"}
        for name, text in (usual | files).items():
            (folder / name).write_text(text)
    return point


def found(root: Path, mountinfo: str, own: str) -> tuple[Hierarchy, ...]:
    return find(parse_mounts(mountinfo), parse_own(own), root)


def test_v1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """Groups are made below the one the runtime is in, so that a limit above holds on."""
    point = tmp_path / "sys/fs/cgroup"
    for name in ("memory/jobs/one", "cpu,cpuacct", "pids"):
        (point / name).mkdir(parents=True)
    bases = {tuple(sorted(one.controllers)): one.base for one in found(tmp_path, V1, V1_OWN)}
    assert bases == {
        ("memory",): point / "memory/jobs/one",
        ("cpu",): point / "cpu,cpuacct",
        ("pids",): point / "pids",
    }


def test_a_hybrid_host_has_an_empty_v2_tree_beside(tmp_path: Path) -> None:
    """It limits nothing there, but its groups can be killed in one stroke."""
    point = tmp_path / "sys/fs/cgroup"
    for name in ("memory/jobs/one", "cpu,cpuacct", "pids", "unified"):
        (point / name).mkdir(parents=True)
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        (point / "unified" / name).write_text("1\n")
    (point / "unified/cgroup.controllers").write_text("hugetlb\n")
    last = found(tmp_path, V1 + UNIFIED, V1_OWN)[-1]
    assert (last.unified, last.controllers, last.base) == (True, frozenset(), point / "unified")


def test_the_root_of_v2_may_hold_processes_and_groups(tmp_path: Path) -> None:
    """Root without systemd: groups begin at the top."""
    point = v2(tmp_path, {"/": {"cgroup.procs": "1\n2\n"}})
    [one] = found(tmp_path, V2, "0::/\n")
    assert (one.base, one.controllers, one.unified) == (point, frozenset({"memory", "cpu", "pids"}), True)


def test_an_ordinary_user_gets_what_systemd_delegated(tmp_path: Path) -> None:
    """The runtime's own scope holds processes, so groups begin in the slice around it."""
    slice_ = "/user.slice/user-1000.slice/user@1000.service/app.slice"
    groups = {
        "/": {},
        slice_: {"cgroup.controllers": "memory pids"},
        f"{slice_}/jupyter.scope": {"cgroup.procs": "7\n"},
    }
    point = v2(tmp_path, groups)
    [one] = found(tmp_path, V2, f"0::{slice_}/jupyter.scope\n")
    assert (one.base, one.controllers) == (point / slice_.strip("/"), frozenset({"memory", "pids"}))


@pytest.mark.parametrize("limit", [{"memory.max": "1073741824"}, {"cpu.max": "50000 100000"}])
def test_a_limit_somebody_set_is_not_left(tmp_path: Path, limit: dict[str, str]) -> None:
    """Groups above it would be free of it: better none."""
    v2(tmp_path, {"/": {}, "/jobs": {}, "/jobs/one": {"cgroup.procs": "7\n", **limit}})
    assert found(tmp_path, V2, "0::/jobs/one\n") == ()


def test_a_container_that_shows_a_part_of_the_tree(tmp_path: Path) -> None:
    """What /proc says begins at the host's root, what is mounted at the container's group."""
    (tmp_path / "sys/fs/cgroup/memory/inner").mkdir(parents=True)
    mounts = "31 30 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    [one] = found(tmp_path, mounts, "4:memory:/docker/abc/inner\n")
    assert one.base == tmp_path / "sys/fs/cgroup/memory/inner"


def test_a_host_without_groups_has_none(tmp_path: Path) -> None:
    """Neither mounts nor files: nothing is found and nothing fails."""
    assert detect(tmp_path) == ()
    assert found(tmp_path, "", "") == ()
    assert found(tmp_path, V2, "0::/gone\n") == ()


def test_the_smallest_limit_above_counts(tmp_path: Path) -> None:
    """What a runtime may give is what it may use itself."""
    point = tmp_path / "memory"
    tree(point, memory_DOT_limit_in_bytes="9223372036854771712\n", jobs__memory_DOT_limit_in_bytes="1048576\n")
    tree(point, jobs__one__memory_DOT_limit_in_bytes="2097152\n")
    hierarchy = Hierarchy(base=point / "jobs/one", top=point, controllers=frozenset({"memory"}), unified=False)
    assert memory_limit([hierarchy]) == 1048576
    assert memory_limit([]) is None


@pytest.mark.parametrize(
    ("text", "limit"), [("max\n", None), ("9223372036854771712", None), ("4096", 4096), ("", None)]
)
def test_both_ways_of_writing_no_limit(tmp_path: Path, text: str, limit: int | None) -> None:
    """v2 says max, v1 the largest number of pages."""
    (tmp_path / "memory.max").write_text(text)
    assert read_limit(tmp_path / "memory.max") == limit
