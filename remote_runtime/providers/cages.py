"""The sandbox as a cage for builds: code of packages is a user that owns nothing, and sees none of anybody's files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from remote_runtime.linux.cage import HOME
from remote_runtime.linux.roots import Bind
from remote_runtime.providers.sandbox import CONFINED, OPEN, Sandbox

_OWNER: Final = "\0builds"  # no person has that name


class BuildCage:
    """Walls for the builder, as far as this host and its operator want them; `images.cage.Cage` says what it does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @classmethod
    def of(cls, sandbox: Sandbox) -> BuildCage | None:
        """Return the cage of a runtime; None where code of packages may run as what the runtime is."""
        unprotected_root = os.geteuid() == 0 and bool(sandbox.refusal)
        return cls(sandbox) if sandbox.word != OPEN or unprotected_root else None

    @property
    def refusal(self) -> str:
        """Return why nothing may be built here; empty where it may."""
        return self._sandbox.refusal if self._sandbox.word == OPEN else ""

    @property
    def shows_named(self) -> bool:
        """Tell whether a recipe's author could read this host's files anyway."""
        return self._sandbox.word == CONFINED

    @property
    def variables(self) -> Mapping[str, str]:
        """Return what the walls are imported from."""
        return {"PYTHONPATH": self._sandbox.child_env()["PYTHONPATH"]}

    def own(self, path: Path) -> None:
        """Make a path belong to whom builds are outside; raises OSError."""
        uid = self._sandbox.cell_uid(_OWNER)
        if uid is not None:
            os.chown(path, uid, uid, follow_symlinks=False)

    def command(
        self, folder: Path, python: Path, readable: Iterable[Path], opened: ExitStack
    ) -> tuple[list[str], list[int]]:
        """Return what runs a program of its own folder behind the walls, and what that inherits; raises OSError."""
        own = (
            Bind(source=str(folder), target=HOME, read_only=False),
            Bind(source=str(folder / "tmp"), target="/tmp", read_only=False),  # noqa: S108 - where programs look
        )
        shown = (Bind(source=os.path.realpath(path), target=str(path)) for path in readable if path.is_absolute())
        return self._sandbox.cage(_OWNER, python, (*shown, *own), opened)
