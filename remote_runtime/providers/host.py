"""This machine's boots and processes: enough to tell a process from a later one that got its number."""

from __future__ import annotations

import functools
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_STATE, _SESSION, _START_TIME = 0, 3, 19  # fields of /proc/PID/stat, counted after the name in parentheses


@functools.cache
def boot_id() -> str:
    """Return what names this boot of this machine; pids mean nothing across two of them."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _output("sysctl", "-n", "kern.bootsessionuuid") or platform.node()


def place() -> str:
    """Return this host's name."""
    return platform.node() or "localhost"


def start_time(pid: int) -> str | None:
    """Return when the process started, as an opaque word; None when it does not run (any more)."""
    if sys.platform == "linux":
        fields = _stat(pid)
        return None if fields is None or fields[_STATE] in "ZX" else fields[_START_TIME]
    return _output("ps", "-o", "lstart=", "-p", str(pid)) or None


def runs(pid: int, started: str, boot: str) -> bool:
    """Tell whether that very process runs."""
    return boot == boot_id() and start_time(pid) == started


def process_exists(pid: int) -> bool:
    """Tell whether any process of this number runs here."""
    return start_time(pid) is not None


def kill_session(pid: int) -> None:
    """Kill a process and everything in the session it leads."""
    for member in (*_session_members(pid), pid):
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _session_members(leader: int) -> Iterator[int]:
    for entry in _PROC.glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields is not None and fields[_SESSION] == str(leader):
            yield int(entry.name)


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
