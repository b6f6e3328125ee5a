"""The container's view of the file system: volumes at their paths, the working directory at the notebook's.

Linux: a mount namespace of its own (in a user namespace where the runtime is not root), and in it a new root on which
every directory of the host is bound, except where the container has something of its own. Nothing of it shows outside.
Where the kernel forbids that, volumes can only appear as links in the working directory, which is said.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.containers import ContainerConfig, Mount

_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUSER: Final = 0x10000000
_MS_RDONLY: Final = 1
_MS_REMOUNT: Final = 32
_MS_BIND: Final = 4096
_MS_REC: Final = 16384
_MS_PRIVATE: Final = 1 << 18


def enter_view(config: ContainerConfig) -> str:
    """Give this process and its children the container's view; returns the working directory's path in it.

    Must run while the process has one thread. Raises OSError when a volume cannot be shown at its path.
    """
    if sys.platform != "linux":
        return _without_namespace(config)
    try:
        _unshare()
    except OSError:
        return _without_namespace(config)
    mounts = list(config.mounts)
    directory = _visible_directory(config)
    if directory != config.work_dir:
        mounts.append(Mount(source=config.work_dir, target=directory))
    if mounts:
        # Shortest first: a volume may lie below another, or below the notebook's folder.
        _new_root(Path(config.work_dir).parent / "root", sorted(mounts, key=lambda mount: len(mount.target)))
    return directory


def _visible_directory(config: ContainerConfig) -> str:
    """Return the notebook's own folder, unless it holds something this container needs: it is going to be covered."""
    folder = config.notebook_directory
    if not folder or folder == "/":
        return config.work_dir
    own = (config.work_dir, config.state_dir, config.arena_dir, *config.layers)
    needed = (sys.prefix, sys.base_prefix, *own, *sys.path)
    if any(path and Path(path).is_relative_to(folder) for path in needed):
        return config.work_dir
    return folder


def _without_namespace(config: ContainerConfig) -> str:
    if config.mounts:
        paths = ", ".join(mount.target for mount in config.mounts)
        raise OSError(
            f"Volumes cannot be shown at {paths}: this host allows no mount namespaces. "
            "`sysctl kernel.unprivileged_userns_clone=1` mends it on Debian."
        )
    return config.work_dir


def _unshare() -> None:
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _call("unshare", _CLONE_NEWNS)
        return
    _call("unshare", _CLONE_NEWNS | _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _new_root(root: Path, mounts: list[Mount]) -> None:
    """Make a root that is the host's, with our mounts in it, and move into it."""
    root.mkdir(exist_ok=True)
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", str(root), "tmpfs", 0)
    # What must be seen at a path is bound there; its parents are made of the host's other entries, one by one.
    opened = {parent for mount in mounts for parent in Path(mount.target).parents}
    _mirror(Path("/"), root, opened, {Path(mount.target) for mount in mounts})
    for mount in mounts:
        target = root / mount.target.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        _mount(mount.source, str(target), None, _MS_BIND | _MS_REC)
        if mount.read_only:
            _mount("none", str(target), None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _locked_flags(str(target)))
    os.chroot(root)
    os.chdir("/")


def _mirror(folder: Path, root: Path, opened: set[Path], replaced: set[Path]) -> None:
    """Show a host folder's entries below `root`, going down only where something of ours lies deeper."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it does not exist on the host: the mount makes it
        return
    for entry in entries:
        path = Path(entry.path)
        target = root / entry.path.lstrip("/")
        if path in replaced or path == root:
            continue
        if entry.is_symlink():
            target.symlink_to(path.readlink())
        elif entry.is_dir():
            target.mkdir()
            if path in opened:
                _mirror(path, root, opened, replaced)
            else:
                _try_bind(entry.path, target)
        else:
            target.touch()
            _try_bind(entry.path, target)


def _try_bind(source: str, target: Path) -> None:
    try:
        _mount(source, str(target), None, _MS_BIND | _MS_REC)
    except PermissionError:  # a folder of somebody else's: it stays empty here
        return


def _locked_flags(path: str) -> int:
    """Return the flags of the mount at a path that a user namespace may not take away when it remounts."""
    return os.statvfs(path).f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    _call("mount", source.encode(), target.encode(), kind.encode() if kind else None, flags, None)


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
