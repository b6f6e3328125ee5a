"""How far this host lets containers be walled off, and the walls of each owner's zygotes and containers.

sandboxed  the runtime is root: cells are a user that owns nothing of the host, different for each of its people
confined   the runtime is an ordinary user: the same walls, but behind them that same user
open       the host allows no walls, or the operator wants none
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kernel_bridge.errors import StartFailed
from remote_runtime.linux import calls
from remote_runtime.linux.enter import CONTAINER_ROOT, EnterSpec
from remote_runtime.linux.roots import Bind
from remote_runtime.linux.users import IdMap
from remote_runtime.linux.walls import Walls
from remote_runtime.providers.requests import piped
from remote_runtime.providers.visible import card_binds, environment_binds, system_binds

SANDBOXED: Final = "sandboxed"
CONFINED: Final = "confined"
OPEN: Final = "open"

ENTER: Final = "remote_runtime.linux.enter"
TRIAL: Final = "remote_runtime.linux.trial"
CAGE: Final = "remote_runtime.linux.cage"
_CELL_UID: Final = 1000  # inside; outside it is one of these, two for each owner
_FIRST_UID: Final = 1_900_000_000  # above what distributions, useradd and systemd give out
_OWNERS: Final = 1 << 26  # a thousand people meet in one number once in a hundred runtimes
_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What of ours the walls are made with and around."""

    payload: Path  # our packages, for the PYTHONPATH of what runs behind the walls
    scratch: Path  # for the empty directories new roots are mounted on
    shared: tuple[Path, ...] = ()  # directories all containers may read: package layers
    lent: tuple[Path, ...] = ()  # directories that hold what single containers are given


class Sandbox:
    """The walls of one runtime."""

    def __init__(self, ours: Ours, env: Mapping[str, str], *, wanted: bool = True) -> None:
        self._ours = ours
        self._env = env
        self._maps: dict[str, int] = {}
        self._lock = threading.Lock()
        self.word = SANDBOXED if os.geteuid() == 0 else CONFINED
        self.refusal = self._hindrance() if wanted else ""  # why there are no walls
        if self.refusal or not wanted:
            self.word = OPEN

    def command(self, owner: str, python: Path, module: str, opened: ExitStack) -> tuple[list[str], list[int]]:
        """Return what runs a module of ours in an environment behind the walls, and the descriptors it inherits.

        The module is told of the walls by `--walls DESCRIPTOR`. The descriptors are closed with `opened`.
        """
        plain = [str(python), "-m", module]
        walls = self.walls(python)
        if walls is None:
            return plain, []
        lent = () if self.word == SANDBOXED else self._ours.lent
        seen = (*self._binds(python), *card_binds(), *(Bind.same(str(path), read_only=False) for path in lent))
        enter, spec = _entering(self._entrance(owner, seen), opened)
        told = piped(walls.to_json(), opened)
        return [*enter, "--", *plain, "--walls", str(told)], [spec, told]

    def walls(self, python: Path) -> Walls | None:
        """Return what all containers of an environment have in common; None where there are no walls."""
        if self.word == OPEN:
            return None
        return self._around(self._binds(python))

    def cage(self, owner: str, python: Path, binds: Iterable[Bind], opened: ExitStack) -> tuple[list[str], list[int]]:
        """Return what a program's command line is put after, so that it sees the system, a Python, and `binds` alone.

        Nothing of that Python runs before the program does. The descriptors are closed with `opened`. Raises OSError.
        """
        ours = Path(getattr(sys, "_base_executable", "") or sys.executable)
        seen = (*self._binds(python, shared=False), *environment_binds(ours, {}), *binds)
        enter, spec = _entering(self._entrance(owner, seen), opened)
        told = piped(self._around(seen).to_json(), opened)
        return [*enter, "--", str(ours), "-S", "-m", CAGE, str(told), "--"], [spec, told]

    def cell_uid(self, owner: str) -> int | None:
        """Return which number of this host an owner's cells are; None where that is our own."""
        return _base_uid(owner) + 1 if self.word == SANDBOXED else None

    def child_env(self) -> dict[str, str]:
        """Return the environment in which what raises the walls can be imported."""
        return {"PYTHONPATH": str(self._ours.payload), "PATH": os.defpath}

    def trees(self, owner: str, paths: Iterable[str]) -> list[tuple[str, int]]:
        """Detach what one container is given, so that it appears to belong to its user; empty where that is not needed.

        Whoever gets the descriptors closes them. Raises StartFailed.
        """
        if self.word != SANDBOXED:
            return []
        mapped = self._map(owner)
        trees: list[tuple[str, int]] = []
        try:
            for path in _outermost(paths):
                trees.append((path, _detached(path, mapped)))
        except OSError as error:
            for _, tree in trees:
                os.close(tree)
            raise StartFailed(f"The file system of {path} cannot be handed to a container: {error}.") from error
        return trees

    def close(self) -> None:
        """Let go of what the kernel holds for us."""
        for descriptor in self._maps.values():
            os.close(descriptor)
        self._maps.clear()

    def _hindrance(self) -> str:
        """Have a container's walls raised around nothing; returns why that failed, or an empty text."""
        if sys.platform != "linux":
            return "there are no namespaces on this system"
        try:
            self._prepare()
            done = self._trial()
        except (OSError, StartFailed) as error:
            return str(error)
        if not done.returncode:
            return ""
        return done.stderr.strip().rpartition("\n")[2] or f"a trial ended with {done.returncode}"

    def _prepare(self) -> None:
        for path in self._ours.lent:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._ours.shared:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o711)  # behind the walls somebody else reads it, as far as he knows names

    def _trial(self) -> subprocess.CompletedProcess[str]:
        for _, tree in self.trees("trial", map(str, self._ours.lent)):
            os.close(tree)
        with ExitStack() as opened:
            command, inherited = self.command("trial", Path(sys.executable), TRIAL, opened)
            return subprocess.run(
                command,
                env=self.child_env(),
                capture_output=True,
                text=True,
                timeout=_WITHIN_S,
                check=False,
                pass_fds=inherited,
            )

    def _entrance(self, owner: str, seen: Iterable[Bind]) -> EnterSpec:
        """Return the outer wall, behind which an owner's programs see these binds and the processes."""
        binds = (*seen, Bind.same("/proc", read_only=False))
        return EnterSpec(root=self._root("entrance"), ids=self._ids(owner), binds=binds)

    def _around(self, binds: Iterable[Bind]) -> Walls:
        """Return the inner wall for who is behind the entrance already: there, everything is at its target."""
        shown = tuple(replace(bind, source=bind.target) for bind in binds)
        return Walls(binds=shown, root=CONTAINER_ROOT, cell_uid=_CELL_UID if self.word == SANDBOXED else None)

    def _binds(self, python: Path, *, shared: bool = True) -> tuple[Bind, ...]:
        ours = [self._ours.payload, *(one.resolve() for one in self._ours.payload.iterdir() if one.is_symlink())]
        ours += self._ours.shared if shared else ()
        return (*system_binds(), *environment_binds(python, self._env), *(Bind.same(str(path)) for path in ours))

    def _ids(self, owner: str) -> tuple[IdMap, ...]:
        if self.word != SANDBOXED:
            return (IdMap(inside=os.getuid(), outside=os.getuid()),)
        base = _base_uid(owner)
        return (IdMap(inside=0, outside=base), IdMap(inside=_CELL_UID, outside=base + 1))

    def _map(self, owner: str) -> int:
        """Return a namespace in which what is root's on disk is the owner's cells'."""
        with self._lock:
            if owner not in self._maps:
                self._maps[owner] = self._open_map(IdMap(inside=0, outside=_base_uid(owner) + 1))
            return self._maps[owner]

    def _open_map(self, line: IdMap) -> int:
        spec = EnterSpec(root="", ids=(line,))
        with ExitStack() as opened:
            command, told = _entering(spec, opened, "--park")
            pipe, env = subprocess.PIPE, self.child_env()
            parked = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True, pass_fds=[told])
        with parked:
            if parked.stdout is None or parked.stdout.readline() != "ready\n":
                raise StartFailed("No user namespace can be made here; `cellburst runtime doctor` says more.")
            return os.open(f"/proc/{parked.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)

    def _root(self, name: str) -> str:
        path = self._ours.scratch / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(path)


def _entering(spec: EnterSpec, opened: ExitStack, *flags: str) -> tuple[list[str], int]:
    """Return the command of the program that enters, and the descriptor by which it is told where."""
    told = piped(spec.to_json(), opened)
    return [sys.executable, "-S", "-m", ENTER, *flags, str(told)], told


def _detached(path: str, mapped: int) -> int:
    tree = calls.open_tree(path)
    try:
        harmless = calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV
        calls.set_mount_attributes(tree, calls.MOUNT_ATTR_IDMAP | harmless, user_namespace=mapped)
    except OSError:
        os.close(tree)
        raise
    return tree


def _outermost(paths: Iterable[str]) -> Sequence[str]:
    """Leave out what lies below another: it comes with it."""
    chosen: list[str] = []
    for path in sorted({str(Path(path)) for path in paths if path}):
        if not any(Path(path).is_relative_to(above) for above in chosen):
            chosen.append(path)
    return chosen


@functools.cache
def _base_uid(owner: str) -> int:
    slot = int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8], "big") % _OWNERS
    return _FIRST_UID + 2 * slot
