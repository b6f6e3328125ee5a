"""What the doctor makes of facts: a grade, what it means for cells, and a line that mends it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from kernel_bridge.protocol.resources import GpuRequest, parse_gpu
from remote_runtime.doctor import (
    address,
    cards,
    cgroups,
    clocks,
    disk,
    engine,
    folders,
    kernel,
    limits,
    memory,
    namespaces,
    packages,
    walls,
)
from remote_runtime.doctor.findings import Finding, Grade, Group, cells_can_run
from remote_runtime.doctor.mounts import mounted_on
from remote_runtime.doctor.report import as_json, as_text
from remote_runtime.providers.nvml import Card, Survey

OK, WEAKER, MISSING = Grade.OK, Grade.WEAKER, Grade.MISSING
GIB = 1 << 30
NOON_2026 = 1_782_000_000.0

OPEN = walls.WallFacts(word="open", refusal="unshare: no")
KERNEL = kernel.KernelFacts(
    system="Linux", release="6.1.0-18-amd64", machine="x86_64", tried={"no_new_privs": "", "seccomp filter": ""}
)
NAMESPACES = namespaces.NamespaceFacts(
    root=True,
    tried=dict.fromkeys(
        ("user namespace", "mount namespace", "process namespace", "own /proc", "pivot_root", "mapped mount"), ""
    ),
    allowed=65536,
)
SHUT = dataclasses.replace(
    NAMESPACES, root=False, tried={"user namespace": "Operation not permitted"},
    closed_by="kernel.apparmor_restrict_unprivileged_userns=0",
)  # fmt: skip
CGROUPS = cgroups.CgroupFacts(layout="v2", root=False, limited=frozenset({"memory", "cpu", "pids"}), freezes=True)
MEMORY = memory.MemoryFacts(linux=True, uid=0, tried={"large pages": ""}, shared_free_bytes=GIB)
DATA = disk.FolderFacts(
    name="data folder", path=Path("/data"), writable=True, free_bytes=100 * GIB, total_bytes=200 * GIB,
    free_files=10**6, kind="ext4",
)  # fmt: skip
LINKS = disk.LinkFacts(cache=Path("/cache"), data=Path("/data/v1"))
LIMITS = limits.LimitFacts(files=1 << 20, files_now=1024, processes=None, threads=100_000)
PACKAGES = packages.PackageFacts(python="3.12.4", python_wanted="<3.14,>=3.11", uv="uv 0.13.9", index_problem="")
ADDRESS = address.AddressFacts(address="http://127.0.0.1:8917")
CLOCKS = clocks.ClockFacts(now_s=NOON_2026, drift_s=0.0)
MINE = folders.PrivateFacts(subject=folders.MASTER_KEY, path=Path("/data/master.key"), mode=0o600, strict=True)
A_CARD = Card(uuid="GPU-1", name="A100-80GB", memory_bytes=80 << 30)
LOST_CARD = Card(uuid="GPU-2", name="unknown", memory_bytes=0, problem="it does not answer: GPU is lost")
CARDS = cards.CardFacts(seen=Survey(cards=(A_CARD, A_CARD), driver="570.1"))
NO_CARDS = cards.CardFacts(seen=Survey(problem="no driver"))
ENGINE = engine.EngineFacts(socket="/run/docker.sock", version="Docker 28.2")


def but(facts: object, **changes: object) -> object:
    """Return facts with some of them changed."""
    return dataclasses.replace(facts, **changes)  # type: ignore[type-var]


CASES = [  # who judges, of what, subject, grade, whether it stops cells, what is said
    (walls.judge, walls.WallFacts(word="sandboxed"), "isolation", OK, False, "`sandboxed`"),
    (walls.judge, walls.WallFacts(word="confined"), "isolation", OK, False, "under your user's number"),
    (walls.judge, OPEN, "isolation", WEAKER, False, "unshare: no"),
    (walls.judge, but(OPEN, root=True), "isolation", MISSING, True, "unshare: no"),
    (walls.judge, but(OPEN, root=True, wanted=False, refusal=""), "isolation", WEAKER, False, "SANDBOX is off"),
    (walls.judge, but(OPEN, advice="Do this."), "isolation", WEAKER, False, "Do this."),
    (kernel.judge, KERNEL, "kernel", OK, False, "6.1.0"),
    (kernel.judge, but(KERNEL, release="5.4.0"), "kernel", WEAKER, False, "Linux 5.12"),
    (kernel.judge, but(KERNEL, system="Darwin"), "kernel", WEAKER, False, "%gpu_connect URL"),
    (kernel.judge, KERNEL, "system calls", OK, False, "seccomp"),
    (kernel.judge, but(KERNEL, tried={"no_new_privs": ""}), "system calls", WEAKER, False, "not tried"),
    (namespaces.judge, NAMESPACES, "user namespaces", OK, False, "65,536"),
    (namespaces.judge, NAMESPACES, "mapped mounts", OK, False, "own what they write"),
    (namespaces.judge, SHUT, "user namespaces", WEAKER, False, "sudo sysctl -w kernel.apparmor_restrict"),
    (namespaces.judge, SHUT, "namespaces", WEAKER, False, "Open user namespaces"),
    (namespaces.judge, but(SHUT, closed_by=""), "user namespaces", WEAKER, False, "seccomp=unconfined"),
    (
        namespaces.judge, but(NAMESPACES, tried={**NAMESPACES.tried, "own /proc": "Operation not permitted"}),
        "namespaces", WEAKER, False, "own /proc: Operation not permitted",
    ),
    (
        namespaces.judge, but(NAMESPACES, tried={**NAMESPACES.tried, "mapped mount": "Invalid argument"}),
        "mapped mounts", WEAKER, False, "CELLBURST_DATA_DIR",
    ),
    (cgroups.judge, CGROUPS, "cgroups", OK, False, "version 2"),
    (cgroups.judge, CGROUPS, "freezing", OK, False, "while it stood still"),
    (cgroups.judge, but(CGROUPS, freezes=False), "freezing", WEAKER, False, "Delegate=yes"),
    (cgroups.judge, but(CGROUPS, freezes=False, layout="v1"), "freezing", WEAKER, False, "unified_cgroup"),
    (cgroups.judge, but(CGROUPS, limited=frozenset({"memory", "pids"})), "cgroups", WEAKER, False, "not in cores"),
    (cgroups.judge, but(CGROUPS, limited=frozenset()), "cgroups", WEAKER, False, "Delegate=yes"),
    (cgroups.judge, but(CGROUPS, layout="v1", limited=frozenset()), "cgroups", WEAKER, False, "unified_cgroup"),
    (cgroups.judge, but(CGROUPS, root=True, limited=frozenset()), "cgroups", WEAKER, False, "--privileged"),
    (memory.judge, MEMORY, "shared memory", OK, False, "huge=always"),
    (memory.judge, but(MEMORY, uid=7, tried={}), "shared memory", WEAKER, False, "uid=7"),
    (memory.judge, but(MEMORY, tried={}, shared_free_bytes=64 << 20), "shared memory", WEAKER, False, "64 MiB"),
    (memory.judge, but(MEMORY, tried={}, shared_free_bytes=None), "shared memory", WEAKER, False, "files on a disk"),
    (
        memory.judge, but(MEMORY, chosen=Path("/mnt/x"), chosen_is_large=True),
        "shared memory", OK, False, "CELLBURST_ARENA_DIR is /mnt/x",
    ),
    (memory.judge, but(MEMORY, chosen=Path("/mnt/x")), "shared memory", WEAKER, False, "cellburst /mnt/x"),
    (limits.judge, LIMITS, "open files", OK, False, "1,024"),
    (limits.judge, but(LIMITS, files=1024), "open files", WEAKER, False, "ulimit -n"),
    (limits.judge, but(LIMITS, files=128, files_now=128), "open files", MISSING, True, "will not run"),
    (limits.judge, LIMITS, "processes", OK, False, "no limit"),
    (limits.judge, but(LIMITS, processes=500), "processes", WEAKER, False, "ulimit -u"),
    (limits.judge, but(LIMITS, threads=32), "processes", MISSING, True, "will not run"),
    (packages.judge, PACKAGES, "Python", OK, False, "3.12.4"),
    (packages.judge, but(PACKAGES, python="3.15.0"), "Python", MISSING, True, "wanted <3.14"),
    (packages.judge, but(PACKAGES, unfit=("uv>=1 (here: none)",)), "own packages", MISSING, True, "uv>=1"),
    (packages.judge, PACKAGES, "uv", OK, False, "uv 0.13.9"),
    (packages.judge, but(PACKAGES, uv="", uv_problem="gone"), "uv", MISSING, True, "pip install --upgrade uv"),
    (packages.judge, PACKAGES, "package index", OK, False, "while they wait"),
    (packages.judge, but(PACKAGES, index_problem="no answer"), "package index", WEAKER, False, "UV_DEFAULT_INDEX"),
    (address.judge, ADDRESS, "address", OK, False, "is free"),
    (address.judge, but(ADDRESS, problem="taken", in_use=True), "address", MISSING, True, "--port N"),
    (address.judge, but(ADDRESS, problem="Permission denied"), "address", MISSING, True, "from 1024 on"),
    (address.judge, but(ADDRESS, address="unix:/x", problem="too long"), "address", MISSING, True, "shorter path"),
    (
        address.judge,
        but(ADDRESS, problem="taken", in_use=True, running_pid=7, running_at="http://127.0.0.1:8917"),
        "address", OK, False, "our own runtime, pid 7",
    ),
    (
        address.judge, but(ADDRESS, problem="taken", in_use=True, running_pid=7, running_at="unix:/x"),
        "address", MISSING, True, "Another program",
    ),
    (clocks.judge, CLOCKS, "clock", OK, False, "steady"),
    (clocks.judge, but(CLOCKS, now_s=0.0), "clock", WEAKER, False, "1970"),
    (clocks.judge, but(CLOCKS, drift_s=-3.0), "clock", WEAKER, False, "-3000 ms"),
    (clocks.judge, but(CLOCKS, elsewhere="http://h"), "clock elsewhere", WEAKER, False, "does not say"),
    (clocks.judge, but(CLOCKS, elsewhere="http://h", apart_s=90.0), "clock elsewhere", WEAKER, False, "90 s ahead"),
    (clocks.judge, but(CLOCKS, elsewhere="http://h", apart_s=0.4), "clock elsewhere", OK, False, "same time"),
    (folders.judge, (MINE,), "private files", OK, False, "1 of 1 exist"),
    (folders.judge, (but(MINE, mode=None),), "private files", OK, False, "none exists yet"),
    (folders.judge, (but(MINE, mode=0o644),), folders.MASTER_KEY, MISSING, True, "chmod 600 /data/master.key"),
    (folders.judge, (but(MINE, subject="token file", mode=0o640),), "token file", WEAKER, False, "0640"),
    (folders.judge, (but(MINE, subject="d", mode=0o755, strict=False),), "d", WEAKER, False, "chmod 700"),
    (folders.judge, (but(MINE, ours=False),), folders.MASTER_KEY, MISSING, True, "another user"),
    (cards.judge, CARDS, "cards", OK, False, "2 x A100-80GB (driver 570.1)"),
    (cards.judge, cards.CardFacts(seen=Survey(cards=(A_CARD, LOST_CARD))), "cards", WEAKER, False, "GPU is lost"),
    (cards.judge, NO_CARDS, "cards", MISSING, False, "%gpu_config simulate"),
    (cards.judge, but(NO_CARDS, declared=parse_gpu("A100:2")), "cards", OK, False, "simulated: A100:2"),
    (engine.judge, ENGINE, "Docker", OK, False, "Docker 28.2"),
    (engine.judge, engine.EngineFacts(socket="", problem="none"), "Docker", MISSING, False, "apt install docker.io"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("judge", "facts", "subject", "grade", "stops", "says"),
    CASES,
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_fact_has_one_verdict(judge, facts, subject: str, grade: Grade, stops: bool, says: str) -> None:
    """Grade, whether cells can run, and the words that matter; what is not ok has exactly one line that mends it."""
    (found,) = [each for each in judge(facts) if each.subject == subject]
    assert (found.grade, found.stops_cells) == (grade, stops)
    assert says in " ".join((found.found, found.means, found.mend))
    assert found.means.startswith("Cells will ") or found.means.startswith("Cells can ")
    assert bool(found.mend) == (grade is not OK)
    assert "\n" not in found.found + found.means + found.mend


@pytest.mark.parametrize(
    ("changes", "room", "grade", "says"),
    [
        ({}, disk.DATA, OK, "find room"),
        ({"free_bytes": GIB}, disk.DATA, WEAKER, "1.0 GiB free"),
        ({"free_bytes": 1 << 20}, disk.DATA, MISSING, "CELLBURST_DATA_DIR"),
        ({"free_bytes": 1 << 20}, disk.RUNTIME, WEAKER, "CELLBURST_RUNTIME_DIR"),
        ({"free_bytes": 1 << 20}, disk.CACHE, MISSING, "Cells will run"),
        ({"writable": False}, disk.DATA, MISSING, "cannot be written"),
        ({"free_files": 10}, disk.DATA, MISSING, "entry"),
        ({"free_files": 1000}, disk.DATA, WEAKER, "1,000 are left"),
        ({"free_files": None}, disk.DATA, OK, "find room"),
        ({"kind": "nfs4"}, disk.DATA, WEAKER, "PostgreSQL"),
        ({"kind": "nfs4"}, disk.CACHE, OK, "nfs4"),
    ],
)
def test_a_folder_has_room_or_not(changes: dict[str, object], room: disk.Room, grade: Grade, says: str) -> None:
    """Bytes, entries and the kind of file system; only what the runtime itself needs stops cells."""
    found = disk.judge_folder(dataclasses.replace(DATA, **changes), room)  # type: ignore[arg-type]
    assert found.grade == grade
    assert says in " ".join((found.found, found.means, found.mend))
    assert found.stops_cells == (grade is MISSING and room.vital)


def test_links_that_cannot_be_made_are_copies() -> None:
    """The mend is a cache on the same file system."""
    assert disk.judge_links(LINKS).grade is OK
    found = disk.judge_links(dataclasses.replace(LINKS, refused="Invalid cross-device link"))
    assert (found.grade, found.mend.split(":")[0]) == (WEAKER, "Set UV_CACHE_DIR=/data/uv-cache")


def test_requirements_are_compared_with_what_is_installed() -> None:
    """Names in any spelling, markers and extras as pip has them."""
    wanted = ["A_b>=2", "c<1", "d>=1; extra == 'lab'", "e==1; python_version < '3'", "not a requirement!", "f"]
    assert packages.unfit(wanted, {"a-b": "2.1", "c": "1.5"}) == ("c<1 (here: 1.5)", "f (here: none)")


def test_a_path_lies_on_the_deepest_mount() -> None:
    """Of two at one place the later covers the earlier; spaces are written in octal."""
    table = "a / ext4 rw 0 0\nb /mnt tmpfs rw 0 0\nc /mnt xfs rw,huge=always 0 0\nd /my\\040disk nfs4 rw 0 0\n"
    found = [mounted_on(Path(path), table) for path in ("/etc", "/mnt/x", "/my disk/y")]
    assert [each.kind for each in found if each] == ["ext4", "xfs", "nfs4"]
    assert mounted_on(Path("/"), "") is None


def finding(**changes: object) -> Finding:
    """Return a finding."""
    usual = Finding(group=Group.WALLS, subject="s", grade=OK, found="f", means="Cells will run.")
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]


def test_only_what_is_vital_stops_cells() -> None:
    """Docker may be missing."""
    assert cells_can_run((finding(), finding(grade=MISSING), finding(grade=WEAKER, vital=True)))
    assert not cells_can_run((finding(grade=MISSING, vital=True),))


def test_the_table_is_aligned_and_a_mend_is_never_broken() -> None:
    """Text is wrapped to the terminal under its column; what is to be copied stays one line."""
    long = "word " * 40
    found = (
        finding(subject="short", found=long.strip()),
        finding(subject="much longer", grade=MISSING, vital=True, mend=f"run {long.strip()}"),
        finding(group=Group.EXTRAS, subject="cards"),
    )
    lines = as_text(found, 80).splitlines()
    column = lines[1].index("word")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines[1:-4] if line and line[0] == " ")
    assert all(len(line) <= 80 for line in lines if "mend: " not in line)
    assert any(line.strip() == f"mend: run {long.strip()}" for line in lines)
    assert lines[0] == Group.WALLS
    assert lines[-1] == "Cells cannot run here until this is mended: much longer."
    assert as_text((finding(),), 80).endswith("Cells can run here. 1 ok, 0 weaker, 0 missing.")


def test_programs_get_all_of_it() -> None:
    """As JSON, with the verdict."""
    told = json.loads(as_json((finding(grade=WEAKER, mend="do this"),)))
    assert told["cells_can_run"]
    assert told["findings"][0] == {
        "group": "What separates cells",
        "subject": "s",
        "grade": "weaker",
        "found": "f",
        "means": "Cells will run.",
        "mend": "do this",
        "vital": False,
    }


def test_no_card_is_declared_by_default() -> None:
    """The facts' default is a host without any."""
    assert cards.CardFacts().declared == GpuRequest()
