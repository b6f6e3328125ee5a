"""Namespaces: a root, processes and users of a container's own. Each is entered for real, by a child that then ends."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.doctor.probing import Outcomes, attempt, in_child, why, worked
from remote_runtime.linux import calls
from remote_runtime.linux.users import IdMap, enter_user_namespace
from remote_runtime.providers.mending import namespace_setting

_WALLS: Final = ("mount namespace", "process namespace", "own /proc", "pivot_root")
_NOBODY: Final = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceFacts:
    """What a child could enter."""

    root: bool  # whether the runtime would be root
    tried: Outcomes = field(default_factory=dict)
    allowed: int | None = None  # user.max_user_namespaces
    closed_by: str = ""  # the setting that would open user namespaces


def probe(data_dir: Path) -> NamespaceFacts:
    """Try what a sandbox does, in a child; `data_dir` or the nearest folder above it has to be mountable for others."""
    tried: Outcomes = {}
    root = os.geteuid() == 0
    if sys.platform == "linux":
        tried |= in_child(_enter_users)
        tried |= in_child(_build_walls)
        if root:
            tried |= in_child(lambda outcomes: _map_owners(outcomes, data_dir))
    return NamespaceFacts(root=root, tried=tried, allowed=_allowed(), closed_by=namespace_setting())


def judge(facts: NamespaceFacts) -> tuple[Finding, ...]:
    """Say what of a container's own cells will have."""
    return (_users(facts), _walls(facts), *([_owners(facts)] if facts.root else []))


def _users(facts: NamespaceFacts) -> Finding:
    if worked(facts.tried, "user namespace"):
        many = "" if facts.allowed is None else f"; up to {facts.allowed:,}"
        root = "Cells will be nobody of this host's, whatever they become inside."
        means = root if facts.root else "Cells will have walls although the runtime is not root."
        return _finding("user namespaces", Grade.OK, f"one was entered{many}", means)
    means = "Cells will be `open`: their walls stand in a user namespace or not at all."
    setting = facts.closed_by
    mend = (
        f"sudo sysctl -w {setting}" if setting else "In a container, start it with `--security-opt seccomp=unconfined`."
    )
    return _finding("user namespaces", Grade.WEAKER, why(facts.tried, "user namespace"), means, mend)


def _walls(facts: NamespaceFacts) -> Finding:
    if worked(facts.tried, *_WALLS):
        means = "Cells will have a root, mounts and processes of their own."
        return _finding("namespaces", Grade.OK, f"entered in a trial: {', '.join(_WALLS)}", means)
    means = "Cells will see the files and processes of the runtime's user."
    if not facts.root and not worked(facts.tried, "user namespace"):
        return _finding(
            "namespaces", Grade.WEAKER, "not tried without a user namespace", means, "Open user namespaces."
        )
    mend = (
        "In a container, start it with `--privileged`, or `--cap-add SYS_ADMIN --security-opt systempaths=unconfined`."
    )
    return _finding("namespaces", Grade.WEAKER, why(facts.tried, *_WALLS), means, mend)


def _owners(facts: NamespaceFacts) -> Finding:
    if worked(facts.tried, "mapped mount"):
        found = "a mount with mapped owners was made of the data folder's file system"
        means = "Cells will own what they write, while outside it is the runtime's."
        return _finding("mapped mounts", Grade.OK, found, means)
    return _finding(
        "mapped mounts", Grade.WEAKER, why(facts.tried, "mapped mount"),
        "Cells will not be sandboxed there: what they are given would belong to somebody else.",
        "Put CELLBURST_DATA_DIR on ext4, xfs, btrfs or tmpfs, with Linux 5.12 or newer.",
    )  # fmt: skip


def _enter_users(outcomes: Outcomes) -> None:
    attempt(outcomes, "user namespace", lambda: enter_user_namespace(_own_numbers()))


def _own_numbers() -> tuple[IdMap, ...]:
    """Return whom a cell would be: for root nobody, else the same user."""
    uid = os.geteuid()
    return (IdMap(inside=0, outside=_NOBODY),) if uid == 0 else (IdMap(inside=uid, outside=uid),)


def _build_walls(outcomes: Outcomes) -> None:
    """Do as a sandbox does: a mount namespace, an empty root in it, processes of its own, and the move."""
    if os.geteuid() != 0 and not attempt(outcomes, "user namespace", lambda: enter_user_namespace(_own_numbers())):
        return
    if not attempt(outcomes, "mount namespace", _own_mounts):
        return
    root = tempfile.gettempdir()  # covered in this child's view alone
    if not attempt(outcomes, "mount namespace", lambda: calls.mount("cellburst", root, "tmpfs")):
        return
    for name in ("proc", "old"):
        Path(root, name).mkdir()
    if attempt(outcomes, "process namespace", lambda: calls.unshare(calls.CLONE_NEWPID)):
        attempt(outcomes, "own /proc", lambda: _mount_proc(f"{root}/proc"))
    attempt(outcomes, "pivot_root", lambda: calls.pivot_root(root, f"{root}/old"))


def _own_mounts() -> None:
    calls.unshare(calls.CLONE_NEWNS)
    calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)


def _mount_proc(target: str) -> None:
    """Let the first process of the new namespace mount its own view; raises OSError with its reason."""
    tried = in_child(lambda outcomes: _note(outcomes, target))
    if not worked(tried, "mount"):
        raise OSError(why(tried, "mount"))


def _note(outcomes: Outcomes, target: str) -> None:
    attempt(outcomes, "mount", lambda: calls.mount("proc", target, "proc"))


def _map_owners(outcomes: Outcomes, data_dir: Path) -> None:
    folder = next(path for path in (data_dir, *data_dir.parents) if path.is_dir())
    if attempt(outcomes, "own view", _own_mounts):
        attempt(outcomes, "mapped mount", lambda: _mapped(str(folder)))


def _mapped(folder: str) -> None:
    """Make a copy of the folder's mounts whose files belong to others; it is attached nowhere."""
    tree = calls.open_tree(folder)
    reading, writing = os.pipe()
    parked = os.fork()
    if parked == 0:
        _park(reading, writing)
    os.close(writing)
    try:
        if os.read(reading, 1) != b"1":
            raise OSError("no user namespace could be made for it")
        owners = os.open(f"/proc/{parked}/ns/user", os.O_RDONLY)
        calls.set_mount_attributes(tree, calls.MOUNT_ATTR_IDMAP, user_namespace=owners)
    finally:
        os.kill(parked, signal.SIGKILL)
        os.waitpid(parked, 0)


def _park(reading: int, writing: int) -> None:
    """Be somebody in another user namespace until killed."""
    try:
        os.close(reading)
        enter_user_namespace(_own_numbers())
        os.write(writing, b"1")
        signal.pause()
    finally:
        os._exit(1)


def _allowed() -> int | None:
    try:
        return int(Path("/proc/sys/user/max_user_namespaces").read_text())
    except (OSError, ValueError):
        return None


def _finding(subject: str, grade: Grade, found: str, means: str, mend: str = "") -> Finding:
    return Finding(group=Group.WALLS, subject=subject, grade=grade, found=found, means=means, mend=mend)
