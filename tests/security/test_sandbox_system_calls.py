"""System calls by which a cell would change or leave its host are refused, and nothing on the host has changed."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path
from typing import Any, Final

import pytest

from tests.security.intruders import Intruder

pytestmark = pytest.mark.timeout(180)
X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of one architecture")

REFUSED: Final = ("EPERM", "EACCES", "ENOSYS")
UNMAPPED: Final = {"setuid(0)": ("EINVAL",), "setgid(0)": ("EINVAL",)}  # where there is no such user behind the walls

# Name, and the call as the cell makes it: it would do something, or fail otherwise than by being refused.
CALLS: Final = {
    "mount": "call(165, b'none', b'/tmp', b'tmpfs', 0, 0)",
    "remount": "call(165, b'none', b'/', b'', 32, 0)",
    "bind": "call(165, b'/', b'/tmp', b'', 4096, 0)",
    "umount2": "call(166, b'/proc', 2)",
    "pivot_root": "call(155, b'/tmp', b'/tmp')",
    "chroot": "call(161, b'/tmp')",
    "open_tree": "call(428, -100, b'/', 1)",
    "move_mount": "call(429, -100, b'/tmp', -100, b'/var/tmp', 0)",
    "fsopen": "call(430, b'tmpfs', 0)",
    "fsconfig": "call(431, 0, 0, 0, 0, 0)",
    "fsmount": "call(432, 0, 0, 0)",
    "fspick": "call(433, -100, b'/', 0)",
    "mount_setattr": "call(442, -100, b'/', 0, b'\\0' * 32, 32)",
    "unshare(user)": "call(272, 0x10000000)",
    "unshare(mount)": "call(272, 0x20000)",
    "unshare(net)": "call(272, 0x40000000)",
    "clone(user)": "call(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "clone3": "call(435, b'\\0' * 88, 88)",
    "setns": "call(308, 0, 0)",
    "keyctl": "call(250, 0, -3, 0, 0, 0)",
    "add_key": "call(248, b'user', b'k', b'v', 1, -3)",
    "request_key": "call(249, b'user', b'k', 0, -3)",
    "bpf": "call(321, 0, b'\\0' * 72, 72)",
    "perf_event_open": "call(298, b'\\0' * 128, 0, -1, -1, 0)",
    "userfaultfd": "call(323, 0)",
    "io_uring_setup": "call(425, 8, b'\\0' * 120)",
    "kexec_load": "call(246, 0, 0, 0, 0)",
    "kexec_file_load": "call(320, -1, -1, 0, 0, 0)",
    "init_module": "call(175, b'x', 1, b'')",
    "finit_module": "call(313, -1, b'', 0)",
    "delete_module": "call(176, b'x', 0)",
    "reboot": "call(169, 0xfee1dead, 672274793, 0, 0)",
    "swapon": "call(167, b'/tmp/x', 0)",
    "swapoff": "call(168, b'/tmp/x')",
    "settimeofday": "call(164, b'\\0' * 16, 0)",
    "clock_settime": "call(227, 0, b'\\0' * 16)",
    "adjtimex": "call(159, b'\\xff' * 208)",
    "sethostname": "call(170, b'mine', 4)",
    "setdomainname": "call(171, b'mine', 4)",
    "syslog": "call(103, 3, b'\\0' * 64, 64)",
    "acct": "call(163, 0)",
    "quotactl": "call(179, 0x800007 << 8, 0, 0, 0)",
    "iopl": "call(172, 3)",
    "ioperm": "call(173, 0x70, 1, 1)",
    "open_by_handle_at": "call(304, -100, b'\\0' * 64, 0)",
    "fanotify_init": "call(300, 0, 0)",
    "vhangup": "call(153)",
    "setpriority": "call(141, 0, 0, -20)",
    "sched_setscheduler": "call(144, 0, 1, b'\\1\\0\\0\\0')",
    "more open files": "call(302, 0, 7, b'\\xff' * 16, 0)",
    "ioprio_set": "call(251, 1, 0, 1 << 13)",
    "nfsservctl": "call(180, 0, 0, 0)",
    "lookup_dcookie": "call(212, 0, 0, 0)",
    "personality": "call(135, 0x0400000)",
    "capset": "call(126, b'\\x22\\x05\\x08\\x20' + b'\\0' * 4, b'\\xff' * 24)",
    "setuid(0)": "call(105, 0)",
    "setgid(0)": "call(106, 0)",
    "setgroups": "call(116, 1, b'\\0' * 4)",
    "mknod(disk)": "call(133, b'/tmp/disk', 0o60666, os.makedev(8, 0))",
    "TIOCSTI": "call(16, pty, 0x5412, b'x')",
    "TIOCLINUX": "call(16, pty, 0x541C, b'\\x02')",
    "AF_PACKET": "call(41, 17, 3, 0)",
    "AF_ALG": "call(41, 38, 5, 0)",
    "AF_VSOCK": "call(41, 40, 1, 0)",
    **{f"socket family {number}": f"call(41, {number}, 2, 0)" for number in (3, 9, 21, 26, 29, 30, 31, 33, 42, 44)},
    "AF_INET raw": "call(41, 2, 3, 255)",
    "x32 getpid": "call(0x40000000 | 39)",
    "x32 mount": "call(0x40000000 | 165, b'none', b'/tmp', b'tmpfs', 0, 0)",
}
EVERY = "import os\npty, other = os.openpty()\nresult = {%s}\nos.close(pty); os.close(other)"

# `mov eax, 20; int 0x80; ret`: getpid as a 32 bit program asks for it.
OLD_DOOR: Final = """
import ctypes, mmap, os
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")
pid = os.fork()
if pid == 0:
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os._exit(0)
result = os.WTERMSIG(os.waitpid(pid, 0)[1])
"""
STATUS = "result = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines())"


def host() -> dict[str, Any]:
    """Return what these calls would change."""
    names = ("kernel/core_pattern", "kernel/hostname", "kernel/domainname", "kernel/sysrq")
    places = [Path("/proc/sys", name) for name in names]
    found: dict[str, Any] = {str(place): place.read_text() for place in places if place.exists()}
    found["mounts"] = sorted(Path("/proc/self/mounts").read_text().splitlines())
    return found | {"swaps": Path("/proc/swaps").read_text(), "socket": socket.gethostname(), "pid": os.getpid()}


@X86
def test_no_administrators_call_goes_through(intruder: Intruder) -> None:
    """Each is refused; the host is as before, and the next cell runs."""
    assert intruder.works()
    before = host()
    outcomes = intruder.cell(EVERY % ", ".join(f"{name!r}: {code}" for name, code in CALLS.items()))
    assert {name: said for name, said in outcomes.items() if said not in REFUSED + UNMAPPED.get(name, ())} == {}
    assert host() == before
    assert intruder.works()


def test_a_crash_starts_no_program_of_the_host(intruder: Intruder) -> None:
    """Where core_pattern names one, it would run as root on the host, on what the cell made of its memory."""
    limit = "import resource\nresult = resource.getrlimit(resource.RLIMIT_CORE)"
    assert intruder.cell(limit) == [1, 1]  # at zero, the program is started nevertheless: core(5)


@X86
def test_a_32_bit_call_ends_the_process(intruder: Intruder) -> None:
    """The filter knows the calls of one architecture; whoever enters by another is killed, and only he."""
    assert intruder.cell(OLD_DOOR) == 31  # SIGSYS
    assert intruder.works()


def test_a_cell_has_no_capability_and_cannot_get_one(intruder: Intruder) -> None:
    """Not permitted, not in its bounds, not by executing what is setuid."""
    status = intruder.cell(STATUS)
    sets = {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert set(sets.values()) == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "0" not in status["Uid"].split() + status["Gid"].split()


def test_a_cell_is_nobody_on_the_host_under_a_runtime_of_root(intruder: Intruder) -> None:
    """Behind the walls it has a number; outside that number is one which no account has."""
    inside = intruder.cell("result = open('/proc/self/uid_map').read().split()")
    outside = {int(number) for number in inside[1::3]}
    if intruder.mode == "sandboxed":
        assert min(outside) >= 1_900_000_000
    else:
        assert outside == {intruder.uid}
