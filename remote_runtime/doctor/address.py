"""The address a runtime would have: free, taken, or held by our own runtime."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.settings import Settings

_PATH_LIMIT: Final = 107  # bytes of a unix socket's path


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFacts:
    """What would be listened on, and who does."""

    address: str  # "http://127.0.0.1:8917" or "unix:/path"
    problem: str = ""  # the system's reason why nothing can listen there
    in_use: bool = False
    running_pid: int | None = None  # our own runtime of these folders
    running_at: str = ""  # its address


def probe(settings: Settings) -> AddressFacts:
    """Try to listen, for a moment, where this runtime would; a socket's path is measured and not touched."""
    pid, where = _running(settings.runtime_dir)
    if settings.port is None:
        path = settings.socket_path
        long = len(os.fsencode(path)) > _PATH_LIMIT
        problem = f"{len(os.fsencode(path))} bytes are too long for a socket's path" if long else ""
        return AddressFacts(address=f"unix:{path}", problem=problem, running_pid=pid, running_at=where)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{settings.port}"
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        problem = error.strerror or str(error)
        return AddressFacts(address=address, problem=problem, in_use=in_use, running_pid=pid, running_at=where)
    return AddressFacts(address=address, running_pid=pid, running_at=where)


def judge(facts: AddressFacts) -> tuple[Finding, ...]:
    """Say whether a runtime can be reached there."""
    if facts.running_pid is not None and (not facts.problem or facts.running_at == facts.address):
        found = f"our own runtime, pid {facts.running_pid}, is at {facts.running_at or facts.address}"
        return (_finding(Grade.OK, found, "Cells will go to the runtime that runs already."),)
    if not facts.problem:
        return (_finding(Grade.OK, f"{facts.address} is free", "Cells will be taken there once a runtime runs."),)
    means = "Cells will not run: the runtime has no address."
    return (_finding(Grade.MISSING, f"{facts.address}: {facts.problem}", means, _mend(facts)),)


def _mend(facts: AddressFacts) -> str:
    if facts.address.startswith("unix:"):
        return "Set CELLBURST_RUNTIME_DIR to a shorter path."
    if facts.in_use:
        return "Another program has it: choose another with `--port N`, or end that one (`ss -ltnp` names it)."
    return "Choose an address of this host with `--host` and a port from 1024 on with `--port`."


def _running(runtime_dir: Path) -> tuple[int | None, str]:
    """Return the pid and address of the runtime that holds this folder; None where there is none."""
    if not _is_locked(runtime_dir / "runtime.lock"):
        return None, ""
    try:
        facts: dict[str, Any] = json.loads((runtime_dir / "runtime.json").read_text())
        return int(facts["pid"]), str(facts["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, ""


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _finding(grade: Grade, found: str, means: str, mend: str = "") -> Finding:
    return Finding(group=Group.PLACES, subject="address", grade=grade, found=found, means=means, mend=mend, vital=True)
