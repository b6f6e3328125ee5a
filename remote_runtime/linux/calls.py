"""System calls that Python does not have, each raising OSError."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from collections.abc import Collection
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MNT_DETACH: Final = 2

MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_IDMAP: Final = 0x00100000

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

# The calls added since Linux 5.1 have one number on every architecture; pivot_root is older.
_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_MOUNT_SETATTR: Final = 442
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}

_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_AT_RECURSIVE: Final = 0x8000
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40
_MADV_COLLAPSE: Final = 25
_CAPABILITY_VERSION_3: Final = 0x20080522


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def unshare(flags: int) -> None:
    """Leave the namespaces this process shares."""
    _call("unshare", flags)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, bind a directory, or change a mount."""
    _call("mount", source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None)


def unmount(target: str) -> None:
    """Take a mount away now, for good once nobody uses it."""
    _call("umount2", target.encode(), MNT_DETACH)


def pivot_root(new: str, old: str) -> None:
    """Make a mount the root and put the old root below it."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(f"pivot_root has no known number on {platform.machine()}")
    _syscall("pivot_root", number, new.encode(), old.encode())


def open_tree(where: str | int) -> int:
    """Return a descriptor of a detached copy of the mounts at a path or at what is open.

    It may be attached in another namespace.
    """
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    if isinstance(where, int):
        return _syscall("open_tree", _OPEN_TREE, where, b"", flags | _AT_EMPTY_PATH)
    return _syscall("open_tree", _OPEN_TREE, _AT_FDCWD, where.encode(), flags)


def attach_tree(tree: int, target: str | int) -> None:
    """Mount what `open_tree` detached, at a path or at what is open."""
    folder, path = (target, b"") if isinstance(target, int) else (_AT_FDCWD, target.encode())
    flags = _MOVE_MOUNT_F_EMPTY_PATH | (_MOVE_MOUNT_T_EMPTY_PATH if isinstance(target, int) else 0)
    _syscall("move_mount", _MOVE_MOUNT, tree, b"", folder, path, flags)


def set_mount_attributes(where: str | int, attributes: int, *, user_namespace: int = 0, recursive: bool = True) -> None:
    """Set attributes of the mount at a path, or of a detached tree, and of all below."""
    request = _MountAttr(attr_set=attributes, userns_fd=user_namespace)
    folder, path = (where, b"") if isinstance(where, int) else (_AT_FDCWD, where.encode())
    flags = (_AT_RECURSIVE if recursive else 0) | (_AT_EMPTY_PATH if isinstance(where, int) else 0)
    size = ctypes.sizeof(request)
    _syscall("mount_setattr", _MOUNT_SETATTR, folder, path, flags, ctypes.byref(request), size)


def prctl(option: int, first: object = 0, second: object = 0) -> None:
    """Change what the kernel holds of this process."""
    _call("prctl", option, first, second, 0, 0)


def collapse(address: int, size_bytes: int) -> None:
    """Have memory of this process kept in huge pages, as far as it lies in whole ones."""
    _call("madvise", ctypes.c_void_p(address), ctypes.c_size_t(size_bytes), _MADV_COLLAPSE)


def set_file_user(uid: int) -> None:
    """Touch files as this user and group from now on, whoever this process is otherwise; of one thread."""
    library = _library()
    library.setfsgid(uid)
    library.setfsuid(uid)
    if library.setfsuid(-1) != uid:  # it returns what was, and never an error
        raise OSError(f"setfsuid: {uid} is no number here")


def set_capabilities(kept: Collection[int] = (), *, inheritable: bool = False) -> None:
    """Keep these capabilities, permitted and effective, and no other."""
    data = (_CapData * 2)()
    for number in kept:
        half, bit = data[number // 32], 1 << number % 32
        half.permitted |= bit
        half.effective |= bit
        half.inheritable |= bit if inheritable else 0
    header = _CapHeader(version=_CAPABILITY_VERSION_3, pid=0)
    _call("capset", ctypes.byref(header), ctypes.byref(data))


@functools.cache
def _library() -> ctypes.CDLL:
    """Return the C library; opening it anew for each call takes five times as long as the call."""
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> int:
    return _checked(name, getattr(_library(), name)(*arguments))


def _syscall(name: str, number: int, *arguments: object) -> int:
    longs = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(name, _library().syscall(ctypes.c_long(number), *longs))


def _checked(name: str, outcome: int) -> int:
    if outcome < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return outcome
