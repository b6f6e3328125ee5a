"""Run a program of a user's environment where it sees little and owns nothing of the host.

`python -m remote_runtime.linux.enter FD -- PROGRAM [ARGUMENT...]`, with this runtime's own interpreter: nothing of the
user's has run before. The descriptor is a pipe with the specification: arguments can be read by those behind the walls.
As root: make the mounts, then enter a user namespace whose numbers are nobody's on the host. As an ordinary user: enter
a user namespace that maps this user alone, and make the mounts in it. `--park FD` enters the namespace only, says so,
and stays until its input ends: a namespace that mapped mounts are made with.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from remote_runtime.linux import calls
from remote_runtime.linux.privileges import keep_through_exec
from remote_runtime.linux.roots import Bind, build_root, change_root, leave_old_root, make_folder
from remote_runtime.linux.users import IdMap, enter_user_namespace

CONTAINER_ROOT: Final = "/.container"  # behind the walls: where the roots of containers are mounted


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterSpec:
    """What the program will see, and who it will be; travels as JSON."""

    root: str  # an empty directory that the new root is mounted on
    ids: tuple[IdMap, ...]
    binds: tuple[Bind, ...] = ()

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> EnterSpec:
        """Read what `to_json` returned."""
        raw = json.loads(text)
        ids = tuple(IdMap(**one) for one in raw["ids"])
        return cls(root=raw["root"], ids=ids, binds=tuple(Bind(**one) for one in raw["binds"]))


def enter(spec: EnterSpec) -> None:
    """Move this process behind the walls; it must have one thread. Raises OSError."""
    root = Path(spec.root)
    if os.geteuid() == 0:
        outside = spec.ids[0].outside
        calls.unshare(calls.CLONE_NEWNS)
        _see_only(root, spec.binds, outside)
        enter_user_namespace(spec.ids, calls.CLONE_NEWNS)
        _be(spec.ids[0].inside)
    else:
        enter_user_namespace(spec.ids, calls.CLONE_NEWNS)
        _see_only(root, spec.binds, None)
        keep_through_exec()  # over a namespace of its own: the host's stay out of reach


def _see_only(root: Path, binds: Sequence[Bind], owner: int | None) -> None:
    calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)
    build_root(root, binds, owner=owner)
    make_folder(Path(f"{root}{CONTAINER_ROOT}"), owner)
    leave_old_root(change_root(root))


def _be(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _park(spec: EnterSpec) -> None:
    enter_user_namespace(spec.ids)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


def read_all(descriptor: int) -> str:
    """Read a text from a pipe that is given by number, and close it."""
    with os.fdopen(descriptor) as pipe:
        return pipe.read()


def main(arguments: Sequence[str]) -> None:
    """Do what the command line says; a host that forbids it is told in one line, with exit code 1."""
    try:
        if arguments[0] == "--park":
            _park(EnterSpec.from_json(read_all(int(arguments[1]))))
            return
        enter(EnterSpec.from_json(read_all(int(arguments[0]))))
    except OSError as error:
        sys.exit(f"this host allows no sandbox: {error}")
    try:
        os.execvp(arguments[2], list(arguments[2:]))  # noqa: S606 - the point of it
    except OSError as error:
        sys.exit(f"{arguments[2]} did not start: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
