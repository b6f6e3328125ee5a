"""A filter of system calls that user code has no business with: refused with EPERM, or ENOSYS where libraries ask.

The list is a list of refusals: scientific code is old and new, and what a list of permissions forgets breaks it in odd
places. What is refused is what only a host's administrator needs, what has broken kernels before, and every way to a
new user namespace, whose owner would have capabilities again.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import platform
import struct
from typing import Final

from remote_runtime.linux import calls

# Numbers: x86_64, aarch64 (None: the call does not exist there).
_NUMBERS: Final[dict[str, tuple[int | None, int | None]]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "creat": (85, None),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "nfsservctl": (180, 42),
    "open": (2, None),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT: Final = 0x40000000

# Absent, not forbidden: C libraries and runtimes then use the older way.
_ABSENT: Final = frozenset({"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "openat2"})

# On disk, a cell's file may be root's: none is to give the one who runs it another user, wherever it is copied to.
_OTHER_USER: Final = 0o6000  # setuid, setgid
_CREATES: Final = 0x40 | 0x400000  # O_CREAT, O_TMPFILE: else the mode is not looked at
_REFUSED_BITS: Final[dict[str, tuple[tuple[int, int], ...]]] = {  # (argument, bits), all of which have one set
    "chmod": ((1, _OTHER_USER),),
    "creat": ((1, _OTHER_USER),),
    "fchmod": ((1, _OTHER_USER),),
    "fchmodat": ((2, _OTHER_USER),),
    "fchmodat2": ((2, _OTHER_USER),),
    "mknod": ((1, _OTHER_USER),),
    "mknodat": ((2, _OTHER_USER),),
    "open": ((1, _CREATES), (2, _OTHER_USER)),
    "openat": ((2, _CREATES), (3, _OTHER_USER)),
}
_JUDGED_BY_ARGUMENT: Final = frozenset({"clone", "unshare", "ioctl", "socket", "personality", *_REFUSED_BITS})

_NEW_NAMESPACES: Final = (
    calls.CLONE_NEWNS
    | calls.CLONE_NEWCGROUP
    | calls.CLONE_NEWUTS
    | calls.CLONE_NEWIPC
    | calls.CLONE_NEWUSER
    | calls.CLONE_NEWPID
    | calls.CLONE_NEWNET
)
_TERMINAL_INJECTION: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_SOCKET_FAMILIES: Final = (
    1,
    2,
    10,
    16,
)  # unix, IPv4, IPv6, netlink; to ask for another loads modules few have looked at
_HARMLESS_PERSONALITIES: Final = (0, 0x0008, 0x40000, 0xFFFFFFFF)  # Linux, 32 bit, no randomisation (gdb), a question

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_SECCOMP_MODE_FILTER: Final = 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install_filter() -> None:
    """Put the filter on this process and all it starts, for good; needs no_new_privs. Raises OSError.

    On an architecture without a list there is no filter: the other walls stand.
    """
    program = build_filter(platform.machine())
    if not program:
        return
    buffer = ctypes.create_string_buffer(program, len(program))
    request = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    calls.prctl(calls.PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(request))


@functools.cache
def build_filter(machine: str) -> bytes:
    """Return the filter as instructions of classic BPF, empty for an architecture without a list."""
    if machine not in _AUDIT_ARCH:
        return b""
    column = list(_AUDIT_ARCH).index(machine)
    numbers = {name: found for name, row in _NUMBERS.items() if (found := row[column]) is not None}
    code = [_op(_LOAD, 4), _op(_EQUAL, _AUDIT_ARCH[machine], 1, 0), _op(_RETURN, _KILL), _op(_LOAD, 0)]
    if machine == "x86_64":
        code += [_op(0x35, _X32_BIT, 0, 1), _refuse(errno.ENOSYS)]  # a second table of calls nobody uses
    for name, number in numbers.items():
        if name not in _JUDGED_BY_ARGUMENT:
            code += [_op(_EQUAL, number, 0, 1), _refuse(errno.ENOSYS if name in _ABSENT else errno.EPERM)]
    for name in sorted(_JUDGED_BY_ARGUMENT & numbers.keys()):
        judged = _judge(name)
        code += [_op(_EQUAL, numbers[name], 0, len(judged)), *judged]
    return b"".join([*code, _op(_RETURN, _ALLOW)])


def _judge(name: str) -> list[bytes]:
    """Return what decides over one call by its argument; it ends with a verdict either way."""
    refused, allowed = _refuse(errno.EPERM), _op(_RETURN, _ALLOW)
    if name in _REFUSED_BITS:
        bits = _REFUSED_BITS[name]
        tests = [
            one
            for index, (argument, wanted) in enumerate(bits)
            for one in (_argument(argument), _op(_ANY_BIT, wanted, 0, 2 * (len(bits) - index) - 1))
        ]
        return [*tests, refused, allowed]
    if name in ("clone", "unshare"):
        return [_argument(0), _op(_ANY_BIT, _NEW_NAMESPACES, 0, 1), refused, allowed]
    values = {"ioctl": _TERMINAL_INJECTION, "personality": _HARMLESS_PERSONALITIES, "socket": _SOCKET_FAMILIES}[name]
    tests = [_op(_EQUAL, one, len(values) - index, 0) for index, one in enumerate(values)]
    if name == "ioctl":
        return [_argument(1), *tests, allowed, refused]
    return [_argument(0), *tests, refused, allowed]


def _argument(index: int) -> bytes:
    """Load the lower half of an argument: every flag that is looked for lies there."""
    return _op(_LOAD, 16 + 8 * index)


def _refuse(number: int) -> bytes:
    return _op(_RETURN, 0x00050000 | number)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
