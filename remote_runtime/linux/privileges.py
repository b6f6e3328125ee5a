"""What a process may do: taken away before it runs what is not ours, for good."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Final

from remote_runtime.linux import calls
from remote_runtime.linux.seccomp import install_filter

CAP_DAC_OVERRIDE: Final = 1
CAP_KILL: Final = 5


def become(uid: int) -> None:
    """Change to a user and the group of the same number, in all their forms; raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def keep_capabilities(kept: Collection[int] = ()) -> None:
    """Keep these capabilities and close the way to any other, also for what this process will execute."""
    _close_bounds()
    _keep(kept)


def keep_through_exec() -> None:
    """Let the program this process executes have its capabilities, though its user is not root; raises OSError."""
    status = Path("/proc/self/status").read_text()
    permitted = int(next(line for line in status.splitlines() if line.startswith("CapPrm:")).split()[1], 16)
    held = [number for number in range(permitted.bit_length()) if permitted >> number & 1]
    calls.set_capabilities(held, inheritable=True)
    for number in held:
        calls.prctl(calls.PR_CAP_AMBIENT, calls.PR_CAP_AMBIENT_RAISE, number)


def confine(uid: int | None) -> None:
    """Be nobody who may do anything: another user where there is one, no capability, and only harmless system calls."""
    _close_bounds()  # first: as another user there is no right to it left
    if uid is not None:
        become(uid)
    _keep(())
    calls.prctl(calls.PR_SET_DUMPABLE, 1)  # a change of user took it, and with it /proc/self
    die_with_parent()
    install_filter()


def die_with_parent() -> None:
    """Be killed when the parent ends. Changing user undoes this, so it comes after."""
    parent = os.getppid()
    calls.prctl(calls.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _keep(kept: Collection[int]) -> None:
    calls.prctl(calls.PR_CAP_AMBIENT, calls.PR_CAP_AMBIENT_CLEAR_ALL)
    calls.set_capabilities(kept)
    calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1)


@functools.cache
def _last_capability() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())


def _close_bounds() -> None:
    for number in range(_last_capability() + 1):
        with contextlib.suppress(OSError):  # without CAP_SETPCAP there is nothing to drop from
            calls.prctl(calls.PR_CAPBSET_DROP, number)
