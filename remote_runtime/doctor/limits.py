"""What one user may have open and running here."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remote_runtime.doctor.findings import Finding, Grade, Group

_LEAST_FILES: Final = 256
_ENOUGH_FILES: Final = 4096
_LEAST_PROCESSES: Final = 64
_ENOUGH_PROCESSES: Final = 1024
_THREADS_MAX: Final = Path("/proc/sys/kernel/threads-max")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFacts:
    """Limits of this process; None is no limit."""

    files: int | None  # the hard one: up to it a process raises its own
    files_now: int | None
    processes: int | None
    threads: int | None = None  # of the whole system


def probe() -> LimitFacts:
    """Read them."""
    files_now, files = map(_none, resource.getrlimit(resource.RLIMIT_NOFILE))
    return LimitFacts(
        files=files,
        files_now=files_now,
        processes=_none(resource.getrlimit(resource.RLIMIT_NPROC)[0]),
        threads=_number(_THREADS_MAX),
    )


def judge(facts: LimitFacts) -> tuple[Finding, ...]:
    """Say how much they allow."""
    return (_files(facts), _processes(facts))


def _files(facts: LimitFacts) -> Finding:
    found = f"{_text(facts.files_now)} for a process, up to {_text(facts.files)} at its wish"
    mend = "ulimit -n 65536 (for good: `* - nofile 65536` in /etc/security/limits.conf)"
    if _below(facts.files_now, _LEAST_FILES):
        means = "Cells will not run: the runtime keeps a few open for each of them."
        return _finding("open files", Grade.MISSING, found, means, mend, vital=True)
    if _below(facts.files_now, _ENOUGH_FILES) and _below(facts.files, _ENOUGH_FILES):
        means = "Cells will be few at a time, and data loaders with many workers may fail in them."
        return _finding("open files", Grade.WEAKER, found, means, mend)
    return _finding("open files", Grade.OK, found, "Cells will open as many files as they need.")


def _processes(facts: LimitFacts) -> Finding:
    found = f"{_text(facts.processes)} for this user" + (
        f", {facts.threads:,} on this host" if facts.threads is not None else ""
    )
    lowest = min((each for each in (facts.processes, facts.threads) if each is not None), default=None)
    mend = "ulimit -u 8192 (for good: `* - nproc 8192` in /etc/security/limits.conf)"
    if _below(lowest, _LEAST_PROCESSES):
        means = "Cells will not run: a container alone has three processes, with threads."
        return _finding("processes", Grade.MISSING, found, means, mend, vital=True)
    if _below(lowest, _ENOUGH_PROCESSES):
        means = "Cells will be few at a time, and libraries that start a thread for each core may fail in them."
        return _finding("processes", Grade.WEAKER, found, means, mend)
    return _finding("processes", Grade.OK, found, "Cells will start processes and threads as they need.")


def _below(number: int | None, least: int) -> bool:
    return number is not None and number < least


def _text(number: int | None) -> str:
    return "no limit" if number is None else f"{number:,}"


def _none(limit: int) -> int | None:
    return None if limit == resource.RLIM_INFINITY else limit


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _finding(subject: str, grade: Grade, found: str, means: str, mend: str = "", *, vital: bool = False) -> Finding:
    return Finding(group=Group.SPEED, subject=subject, grade=grade, found=found, means=means, mend=mend, vital=vital)
