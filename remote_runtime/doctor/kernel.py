"""The kernel: its release, and whether a process may give privileges up for good and have its system calls filtered."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.doctor.probing import Outcomes, attempt, in_child, why, worked
from remote_runtime.linux import calls
from remote_runtime.linux.seccomp import install_filter

# Mounts with mapped owners came with 5.12; everything else the walls need is older.
OLDEST: Final = (5, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """What the kernel is, and what it let a child do to itself."""

    system: str
    release: str
    machine: str
    tried: Outcomes = field(default_factory=dict)


def probe() -> KernelFacts:
    """Look at the kernel, and filter a child's system calls."""
    tried = in_child(_give_up_privileges) if sys.platform == "linux" else {}
    return KernelFacts(system=platform.system(), release=platform.release(), machine=platform.machine(), tried=tried)


def judge(facts: KernelFacts) -> tuple[Finding, ...]:
    """Say how the kernel stands."""
    return (_release(facts), _filter(facts)) if facts.system == "Linux" else (_release(facts),)


def _release(facts: KernelFacts) -> Finding:
    found = f"{facts.system} {facts.release} on {facts.machine}"
    if facts.system != "Linux":
        return _finding(
            "kernel", Grade.WEAKER, found, "Cells will be ordinary processes of yours, `open`: only Linux has walls.",
            "Run the runtime on a Linux host: `cellburst runtime serve` there, `%gpu_connect URL` here.",
        )  # fmt: skip
    if version_of(facts.release) < OLDEST:
        return _finding(
            "kernel", Grade.WEAKER, found, f"Cells will run; some walls want Linux {OLDEST[0]}.{OLDEST[1]}, see below.",
            "Update the system to one with a newer kernel, and start it anew.",
        )  # fmt: skip
    return _finding("kernel", Grade.OK, found, "Cells will find every wall that this release knows.")


def _filter(facts: KernelFacts) -> Finding:
    needed = ("no_new_privs", "seccomp filter")
    if worked(facts.tried, *needed):
        return _finding(
            "system calls", Grade.OK, "no_new_privs and a seccomp filter were set in a trial process",
            "Cells will be refused what administers a host, and gain nothing from setuid programs.",
        )  # fmt: skip
    return _finding(
        "system calls", Grade.WEAKER, why(facts.tried, *needed),
        "Cells will be `open`: they could make any system call their user may.",
        "Use a kernel with CONFIG_SECCOMP_FILTER; in a container, start it with `--security-opt seccomp=unconfined`.",
    )  # fmt: skip


def version_of(release: str) -> tuple[int, int]:
    """Return the first two numbers of a kernel's release; zeros where it has none."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _give_up_privileges(outcomes: Outcomes) -> None:
    attempt(outcomes, "no_new_privs", lambda: calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1))
    attempt(outcomes, "seccomp filter", _set_filter)


def _set_filter() -> None:
    """Set the filter that cells get, and see the kernel say that there is one."""
    install_filter()
    if not re.search(r"^Seccomp:\s*2$", Path("/proc/self/status").read_text(), re.MULTILINE):
        raise OSError(f"there is no list of system calls for {platform.machine()}")


def _finding(subject: str, grade: Grade, found: str, means: str, mend: str = "") -> Finding:
    return Finding(group=Group.WALLS, subject=subject, grade=grade, found=found, means=means, mend=mend)
