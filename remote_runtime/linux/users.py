"""User namespaces: which numbers inside mean which numbers outside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remote_runtime.linux import calls


@dataclass(frozen=True, slots=True, kw_only=True)
class IdMap:
    """One number inside and the number it is outside, for users and groups alike."""

    inside: int
    outside: int


def enter_user_namespace(ids: Sequence[IdMap], flags: int = 0) -> None:
    """Move this process into a user namespace with these numbers, and into the other namespaces of `flags`.

    Mapping one's own number alone needs no privilege, anything else needs root. Raises OSError.
    """
    if os.geteuid() == 0:
        _mapped_by_root(ids, flags)
    else:
        group = IdMap(inside=os.getgid(), outside=os.getgid())  # inside it has no number yet
        calls.unshare(calls.CLONE_NEWUSER | flags)
        Path("/proc/self/setgroups").write_text("deny")
        _write_maps("self", ids, [group])


def _mapped_by_root(ids: Sequence[IdMap], flags: int) -> None:
    """Have the maps written by a fork that stayed outside: inside, nobody may."""
    read, write = os.pipe()
    outside = os.fork()
    if outside == 0:
        os.close(write)
        _map_parent(read, ids)
    os.close(read)
    try:
        calls.unshare(calls.CLONE_NEWUSER | flags)
        os.write(write, b"1")
    finally:
        os.close(write)
        _, status = os.waitpid(outside, 0)
    if status:
        raise OSError("the numbers of a user namespace could not be set")


def _map_parent(read: int, ids: Sequence[IdMap]) -> None:
    code = 1
    try:
        if os.read(read, 1):
            _write_maps(str(os.getppid()), ids, ids)
            code = 0
    finally:
        os._exit(code)


def _write_maps(process: str, users: Sequence[IdMap], groups: Sequence[IdMap]) -> None:
    for name, ids in (("gid_map", groups), ("uid_map", users)):
        # One write: the kernel takes a map whole, and once.
        text = "".join(f"{one.inside} {one.outside} 1\n" for one in ids)
        Path(f"/proc/{process}/{name}").write_text(text)
