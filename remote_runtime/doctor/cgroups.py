"""Control groups: what the runtime can limit for a container, and whether it can freeze one that idles."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.providers import cgroup_layout
from remote_runtime.providers.cgroups import Cgroups, Limits, can_freeze, end

WANTED: Final = ("memory", "cpu", "pids")
_TRIAL: Final = Limits(memory_bytes=64 << 20, cpu=0.5, pids=64)
_DELEGATE: Final = (
    "printf '[Service]\\nDelegate=yes\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf; "
    "then `sudo systemctl daemon-reload`, and log in anew"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupFacts:
    """How this host groups processes, and what could be limited in a group made for a trial."""

    layout: str  # "v1", "v2", "hybrid" or "none"
    root: bool
    limited: frozenset[str] = frozenset()
    freezes: bool = False  # a process was stopped there, and killed while it stood still


def probe() -> CgroupFacts:
    """Make a container's groups with limits as the runtime does, freeze a process in them, and remove them."""
    hierarchies = cgroup_layout.detect()
    groups = Cgroups(hierarchies, f"doctor-{os.getpid()}")
    made = groups.create("trial", _TRIAL)
    try:
        freezes = can_freeze(made)
    finally:
        end(made)
        groups.close()
    return CgroupFacts(
        layout=layout_of(_mounts()),
        root=os.geteuid() == 0,
        limited=groups.controllers if made else frozenset(),
        freezes=freezes,
    )


def judge(facts: CgroupFacts) -> tuple[Finding, ...]:
    """Say which limits containers will have, and whether those that idle will stand still."""
    return (_judge_limits(facts), _judge_freezing(facts))


def _judge_limits(facts: CgroupFacts) -> Finding:
    cannot = [name for name in WANTED if name not in facts.limited]
    can = ", ".join(name for name in WANTED if name in facts.limited) or "nothing"
    found = f"{_LAYOUTS[facts.layout]}; in a trial group could be limited: {can}"
    if not cannot:
        means = "Cells will be held to the memory, cores and number of processes they may have."
        return _finding(Grade.OK, found, means)
    if "memory" in facts.limited:
        means = f"Cells will be held to their memory, but not in {' and '.join(map(_WORDS.__getitem__, cannot))}."
    else:
        means = "Cells will be able to take all of this host's memory."
    return _finding(Grade.WEAKER, found, means, _mend(facts))


def _judge_freezing(facts: CgroupFacts) -> Finding:
    if facts.freezes:
        found = "a process in a trial group was stopped, and ended while it stood still"
        means = "Cells will leave nothing that takes processor time while their session idles."
        return _finding(Grade.OK, found, means, subject=_FREEZING)
    found = f"{_LAYOUTS[facts.layout]}; no group of version 2 could be made in which a process stands still"
    means = "Cells will leave processes that wait as ordinary ones do while their session idles."
    return _finding(Grade.WEAKER, found, means, _mend(facts, whole=True), subject=_FREEZING)


def layout_of(mounts: Iterable[cgroup_layout.CgroupMount]) -> str:
    """Return which versions of control groups are mounted."""
    kinds = {mount.unified for mount in mounts}
    return {0: "none", 2: "hybrid"}.get(len(kinds), "v2" if True in kinds else "v1")


_FREEZING: Final = "freezing"
_LAYOUTS: Final = {"none": "not mounted", "v1": "version 1", "v2": "version 2", "hybrid": "versions 1 and 2"}
_WORDS: Final = {"memory": "memory", "cpu": "cores", "pids": "number of processes"}


def _mounts() -> tuple[cgroup_layout.CgroupMount, ...]:
    try:
        return cgroup_layout.parse_mounts(Path("/proc/self/mountinfo").read_text())
    except OSError:
        return ()


def _mend(facts: CgroupFacts, *, whole: bool = False) -> str:
    """Say how the groups can be had; `whole` where nothing but version 2 will do."""
    if whole and facts.layout == "v1":
        return "Boot with `systemd.unified_cgroup_hierarchy=1`."
    if facts.layout == "v2" and not facts.root:
        return _DELEGATE
    if facts.root:
        return "Mount them writable: in a container, start it with `--privileged` or `--cgroupns host`."
    return "Start the runtime as root, or boot with `systemd.unified_cgroup_hierarchy=1`."


def _finding(grade: Grade, found: str, means: str, mend: str = "", *, subject: str = "cgroups") -> Finding:
    return Finding(group=Group.SPEED, subject=subject, grade=grade, found=found, means=means, mend=mend)
