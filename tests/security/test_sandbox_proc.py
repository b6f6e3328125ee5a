"""What /proc, /sys and signals give a cell: its own processes, and nothing it could change."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

import pytest

from tests.security.intruders import Intruder

pytestmark = pytest.mark.timeout(180)

ALONE = "alone"  # a session that has started nothing: others may have the keeper of their files beside them

SWITCHES: Final = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
    "/proc/mtrr",
    "/proc/1/oom_score_adj",
    "/proc/1/mem",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/ksm/run",
    "/sys/devices/system/cpu/cpu1/online",
    "/sys/kernel/uevent_helper",
    "/sys/power/state",
    "/sys/fs/cgroup/release_agent",
    "/usr/bin/env",
    "/etc/resolv.conf",
    "/etc/passwd",
    "/dev/mem",
    "/dev/kmsg",
    "/dev/vda",
    "/dev/sda",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/vsock",
)
HOME: Final = pwd.getpwuid(0).pw_dir
SECRETIVE: Final = (
    *(f"/proc/1/{name}" for name in ("environ", "mem", "maps", "stack", "auxv", "pagemap", "io", "syscall")),
    *(f"/proc/{name}" for name in ("kmsg", "slabinfo", "vmallocinfo", "kpagecount", "kcore")),
    *("/etc/shadow", f"{HOME}/.ssh", f"{HOME}/.bashrc", "/sys/fs/cgroup/cgroup.procs", "/run/docker.sock"),
)
NOT_TAKEN: Final = ("EPERM", "EACCES", "EROFS", "ENOENT", "ENODEV", "ENXIO", "ESRCH", "EINVAL", "EIO")

OTHERS: Final = """
import ctypes, os, socket
class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))
taken = ctypes.create_string_buffer(64)
mine = Vector(ctypes.addressof(taken), 64)
def steal(pid):
    theirs = Vector(ctypes.addressof(taken), 64)
    return call(310, pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
def grab(pid):
    descriptor = call(434, pid, 0)
    if isinstance(descriptor, str):
        return descriptor
    got = [call(438, descriptor, number, 0) for number in range(16)]
    os.close(descriptor)
    return max(got, key=str.isdigit) if all(isinstance(one, str) for one in got) else "got"
def harm(pid):
    return {
        "ptrace": call(101, 16, pid, 0, 0),
        "seize": call(101, 0x4206, pid, 0, 0),
        "memory": steal(pid),
        "files": grab(pid),
        "limit": call(302, pid, 7, bytes(16), 0),
        "move": call(279, pid, 0, 0, 0, 0),
    }
own = {os.getpid(), *map(int, os.listdir("/proc/self/task"))}
result = {pid: harm(pid) for pid in GUESSED if pid not in own}
"""

KILLS: Final = """
import os
own = {os.getpid(), *map(int, os.listdir("/proc/self/task"))}
result = [attempt(os.kill, pid, 9) for pid in GUESSED if pid not in own]
"""


def test_switches_of_the_kernel_stay_as_they_are(intruder: Intruder) -> None:
    """Not core_pattern, not sysrq, not a card or a disk: what can be written at all is /dev/null in its place."""
    assert intruder.works()
    steady = [name for name in SWITCHES if name.startswith(("/proc/sys/", "/sys/")) and "last_pid" not in name]
    before = {name: _text(name) for name in steady}
    outcomes = intruder.cell(f"result = {{name: write(name, b'1') for name in {SWITCHES!r}}}")
    assert {name: said for name, said in outcomes.items() if said not in NOT_TAKEN} == {}
    assert {name: _text(name) for name in before} == before
    assert intruder.works()


def test_what_tells_of_others_cannot_be_read(intruder: Intruder) -> None:
    """Nor can the links that lead out by way of process 1 be followed."""
    outcomes = intruder.cell(f"result = {{name: read(name) for name in {SECRETIVE!r}}}")
    assert {name: said for name, said in outcomes.items() if said not in NOT_TAKEN} == {}
    links = ("root", "cwd", "exe", "fd", "map_files", "ns")
    followed = intruder.cell(f"import os\nresult = [attempt(os.listdir, '/proc/1/' + name) for name in {links!r}]")
    assert set(followed) <= {"EACCES", "EPERM"}


def test_a_cell_sees_its_own_processes_only(intruder: Intruder) -> None:
    """Not the agent, not the supervisor, not another session's: process 1 and itself are all there is."""
    assert intruder.works("victim")
    code = "import os\nresult = os.getpid(), [int(name) for name in os.listdir('/proc') if name.isdigit()]"
    me, shown = intruder.cell(code, session=ALONE)
    assert sorted(shown) == [1, me]


def test_processes_of_others_cannot_be_touched(intruder: Intruder) -> None:
    """By process 1 the container ends; by numbers of the host, and by all at once, nobody is reached."""
    assert intruder.works("victim")
    guessed = sorted({1, *_host_processes(intruder.uid)})
    outcomes = intruder.cell(f"GUESSED = {guessed}\n{OTHERS}", session=ALONE)
    assert set(outcomes) >= {"1"}
    if intruder.mode == "confined":
        outcomes["1"].pop("limit")  # its own container's, and of its own user: it may, and it only waits for its end
    for harm in outcomes.values():
        assert {name: said for name, said in harm.items() if said not in ("EPERM", "ESRCH", "EACCES")} == {}
    killed = intruder.cell(f"GUESSED = [-1, *{guessed}]\n{KILLS}", session=ALONE)
    assert set(killed) <= {"ESRCH", "EPERM", "None"}  # None: a process 1 gets no signal from below it
    assert killed[0] in ("ESRCH", "EPERM")
    assert intruder.works(ALONE)
    assert intruder.works("victim")


def test_the_way_out_of_a_namespace_is_shut(intruder: Intruder) -> None:
    """The namespace above cannot be asked for, and what is open leads nowhere."""
    code = "import os\nresult = [call(16, os.open('/proc/self/ns/' + name, 0), 0xB702, 0) for name in ('user', 'pid')]"
    assert intruder.cell(code) == ["EPERM", "EPERM"]


def _text(name: str) -> str:
    try:
        return Path(name).read_text()
    except OSError:
        return ""


def _host_processes(uid: int) -> list[int]:
    """Return the processes of this user on the host, the agents and supervisors among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid in (uid, os.getuid()):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
