"""Folders of this host as they are lent to a container: on disk the runtime's, inside its cells'.

The kernel maps users at a mount (`MOUNT_ATTR_IDMAP`). The engine can only be told paths, so what is mapped is mounted
below a folder of ours for as long as the engine takes to show it to the container.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.containers import Mount
from remote_runtime.linux import calls
from remote_runtime.linux.roots import Bind, source_tree
from remote_runtime.providers.docker.inside import OWN
from remote_runtime.providers.docker.mounts import enclosing
from remote_runtime.providers.sandbox import Sandbox

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def lent(
    sandbox: Sandbox, owner: str, shown: Sequence[Mount], paths: Sequence[str], scratch: Path
) -> Iterator[tuple[Mount, ...]]:
    """Yield the mounts with the sources at which the engine finds these paths, and all in them, as the owner's.

    Raises StartFailed where a file system cannot be mapped.
    """
    trees = sandbox.trees(owner, paths)
    with ExitStack() as opened:
        for _, tree in trees:
            opened.callback(os.close, tree)
        opened.callback(clear, scratch)
        try:
            places = ((tree, path, scratch / str(number)) for number, (path, tree) in enumerate(trees))
            at = {path: _attached(tree, place, directory=Path(path).is_dir()) for tree, path, place in places}
            found = [_lent(mount, at, scratch / f"below{number}") for number, mount in enumerate(shown)]
        except OSError as error:
            raise StartFailed(f"A container's folders could not be mounted: {error}.") from error
        yield tuple(found)


def make_places(shown: Iterable[Mount]) -> None:
    """Make what is mounted inside another mount a place in it: there the engine may make none. Raises StartFailed."""
    by_target = {mount.target: mount for mount in shown}
    for target, mount in by_target.items():
        around = enclosing(target, by_target)
        if around and not by_target[around].read_only:
            try:
                _make_place(
                    Path(by_target[around].source), Path(target).relative_to(around), Path(mount.source).is_dir()
                )
            except OSError as error:
                why = os.strerror(error.errno) if error.errno else error
                raise StartFailed(f"Nothing can be shown at {target}: {why}. Choose a path of your own.") from error


def clear(scratch: Path) -> None:
    """Take away what is mounted below, also what a runtime left that was killed."""
    if not scratch.is_dir():
        return
    for folder in scratch.iterdir():
        with contextlib.suppress(OSError):
            calls.unmount(str(folder))
        with contextlib.suppress(OSError):
            folder.unlink() if folder.is_file() else folder.rmdir()  # never what lies behind a mount that stayed
    with contextlib.suppress(OSError):
        scratch.rmdir()


def clear_all(parent: Path) -> None:
    """Do it for every container of an earlier runtime."""
    for scratch in parent.iterdir() if parent.is_dir() else ():
        clear(scratch)


def _make_place(folder: Path, below: Path, directory: bool) -> None:
    """Cells write in this folder: a link on the way is not followed."""
    here = os.open(folder, _FOLDER)
    try:
        for name in below.parts[:-1] if not directory else below.parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o711, dir_fd=here)
            inner = os.open(name, _FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        if not directory:
            os.close(os.open(below.name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=here))
    finally:
        os.close(here)


def _lent(mount: Mount, at: dict[str, str], place: Path) -> Mount:
    """Return a mount with the source the engine finds; raises OSError, or StartFailed for who may mount nothing."""
    if mount.target == OWN:
        return mount
    source = _found(mount.source, at)
    if not mount.below:
        return replace(mount, source=source)
    if os.geteuid() != 0:  # the engine would follow a link that a cell put on the way, as root
        raise StartFailed(
            f"A folder of a volume cannot be shown at {mount.target} by a runtime that is not root: "
            "mount the whole volume, or use `--provider process`."
        )
    tree = source_tree(Bind(source=source, target=mount.target, below=mount.below))
    try:
        return replace(mount, source=_attached(tree, place, directory=True), below="")
    finally:
        os.close(tree)


def _attached(tree: int, place: Path, *, directory: bool) -> str:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory:
        place.mkdir(mode=0o700)
    else:
        place.touch(mode=0o600)
    calls.attach_tree(tree, str(place))
    return str(place)


def _found(path: str, at: dict[str, str]) -> str:
    for above, place in at.items():
        if path == above:
            return place
        if Path(path).is_relative_to(above):
            return str(Path(place, Path(path).relative_to(above)))
    return path
