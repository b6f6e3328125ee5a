"""What a container sees of its host, and how a process and its children come to see nothing else.

The supervisor calls `raise_walls` once, when the agent has been forked: from then on it and all it forks have the
container's root, its own process numbers, host name and shared memory, and its own network where that is to be off.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from remote_runtime.linux import calls
from remote_runtime.linux.privileges import CAP_KILL, die_with_parent, keep_capabilities
from remote_runtime.linux.roots import (
    Bind,
    bind_all,
    change_root,
    leave_old_root,
    make_folder,
    make_mount_point,
    mount_empty,
    seal_root,
)

_READ_ONLY_PROC: Final = ("sys", "irq", "bus", "fs", "sysrq-trigger")
_HIDDEN_PROC: Final = ("kcore", "keys", "timer_list", "sched_debug", "latency_stats", "scsi", "acpi", "asound")
_TERMINALS: Final = "newinstance,ptmxmode=0666,mode=620,max=512"  # the host's have a limit all containers share
_DEVICE_LINKS: Final = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What every container of one zygote has in common; travels as JSON."""

    binds: tuple[Bind, ...]  # the system, the environment, ours: what all may see
    root: str  # an empty directory that the container's root is mounted on
    cell_uid: int | None = None  # the user that cells are, by its number inside; None: the runtime's own

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Walls:
        """Read what `to_json` returned."""
        raw = json.loads(text)
        return cls(binds=tuple(Bind(**one) for one in raw["binds"]), root=raw["root"], cell_uid=raw["cell_uid"])


def attach_trees(trees: Sequence[tuple[str, int]]) -> None:
    """In a mount namespace of this process's own, mount what the control plane detached for this container."""
    calls.unshare(calls.CLONE_NEWNS)
    calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)
    for path, tree in sorted(trees):
        make_mount_point(Path(path), stat.S_ISDIR(os.fstat(tree).st_mode))
        calls.attach_tree(tree, path)
        os.close(tree)


def raise_walls(walls: Walls, binds: Sequence[Bind], files: dict[str, str], *, network: bool) -> int:
    """Enclose this process's future children; returns the pid of the container's first process.

    `binds` are this container's own, `files` are texts by their path in the new root. Raises OSError.
    """
    flags = calls.CLONE_NEWNS | calls.CLONE_NEWIPC | calls.CLONE_NEWUTS | calls.CLONE_NEWCGROUP | calls.CLONE_NEWPID
    calls.unshare(flags if network else flags | calls.CLONE_NEWNET)
    calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)
    if not network:
        _loopback_up()
    root = Path(walls.root)
    mount_empty(root)
    _furnish(root, files)  # first: behind what is bound there may be links of somebody's making
    first, said = _fork_first_process(root / "proc")
    try:
        bind_all(root, [*walls.binds, *binds])  # meanwhile
        _wait_for(said)
        old = change_root(root)
        leave_old_root(old)  # only now: a kernel lets nobody mount /proc who cannot see all of one
        seal_root(Path("/"))
    except BaseException:
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        raise
    finally:
        os.close(said)
    return first


def _furnish(root: Path, files: dict[str, str]) -> None:
    devices = root / "dev"
    make_folder(devices)
    for name, meaning in _DEVICE_LINKS.items():
        (devices / name).symlink_to(meaning)
    no_more = calls.MS_NOSUID | calls.MS_NODEV
    for name, kind, options in (("shm", "tmpfs", "mode=1777"), ("pts", "devpts", _TERMINALS)):
        make_folder(devices / name)
        calls.mount(kind, str(devices / name), kind, no_more if kind == "tmpfs" else calls.MS_NOSUID, options)
    make_folder(root / "proc")
    for name, text in files.items():
        target = root / name.lstrip("/")
        make_folder(target.parent)
        target.write_text(text)


def _fork_first_process(proc: Path) -> tuple[int, int]:
    """Fork the container's process 1: it mounts `proc`, adopts orphans, and with it everything ends.

    Returns its pid, and the pipe on which it says whether that is done.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_first(write, proc)
    os.close(write)
    return pid, read


def _wait_for(said: int) -> None:
    if (word := os.read(said, 4096)) != b"1":
        raise OSError(word.decode(errors="replace") or "the first process of the container ended at once")


def _be_first(tell: int, proc: Path) -> None:
    try:
        os.chdir("/")  # which will be the new root, once this process's parent has moved both there
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which, for a process 1, means that nobody inside can send it
        _mount_proc(proc)
        # One capability that its children lack: so they may not look into it.
        keep_capabilities([CAP_KILL])
        calls.prctl(calls.PR_SET_DUMPABLE, 0)
        die_with_parent()
        os.write(tell, b"1")
        os.closerange(0, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 16 else 1 << 16)
        while True:
            signal.pause()
    except BaseException as error:  # noqa: BLE001 - the border of a process
        os.write(tell, str(error).encode()[:4096])
    finally:
        os._exit(1)


def _mount_proc(proc: Path) -> None:
    calls.mount("proc", str(proc), "proc", calls.MS_NOSUID | calls.MS_NODEV | calls.MS_NOEXEC)
    for name in _READ_ONLY_PROC:
        shown = f"{proc}/{name}"
        if Path(shown).exists():
            calls.mount(shown, shown, flags=calls.MS_BIND | calls.MS_REC)
            calls.set_mount_attributes(shown, calls.MOUNT_ATTR_RDONLY)
    for name in _HIDDEN_PROC:
        path = proc / name
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                calls.mount("none", str(path), "tmpfs", calls.MS_NOSUID | calls.MS_NODEV, "size=0,mode=555")
            elif path.exists():
                calls.mount("/dev/null", str(path), flags=calls.MS_BIND)


def _loopback_up() -> None:
    """Let programs talk to themselves; SIOCGIFFLAGS 0x8913, SIOCSIFFLAGS 0x8914, IFF_UP 1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, 0x8913, request))[1]
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))
