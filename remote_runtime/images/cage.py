"""Where code of packages may run while they are built: what the builder asks of whoever can wall it off."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from remote_runtime.linux.cage import HOME
from remote_runtime.trash import remove_tree


class Cage(Protocol):
    """Walls for programs that run anybody's code."""

    @property
    def refusal(self) -> str:
        """Return why no such program may run here at all; empty where it may."""

    @property
    def shows_named(self) -> bool:
        """Tell whether folders of this host that a recipe names may be shown to the code of its packages."""

    @property
    def variables(self) -> Mapping[str, str]:
        """Return what the environment of a command must have; the program does not get it."""

    def own(self, path: Path) -> None:
        """Make a file or folder of ours belong to the user behind the walls; raises OSError."""

    def command(
        self, folder: Path, python: Path, readable: Iterable[Path], opened: ExitStack
    ) -> tuple[list[str], list[int]]:
        """Return what to put before a program's command line, and the descriptors it inherits; raises OSError.

        The program sees the system, that Python, what is `readable`, and as its own at HOME the folder, whose `tmp` is
        also /tmp. The descriptors are closed with `opened`.
        """


@dataclass(frozen=True, slots=True)
class Room:
    """A folder of one build: `inside` is the caged programs', `wheels` is ours."""

    path: Path
    cage: Cage

    @property
    def inside(self) -> Path:
        """What a caged program sees at HOME. All of it may be hostile once a program ran."""
        return self.path / "inside"

    @property
    def wheels(self) -> Path:
        """What was taken over, for uv to find."""
        return self.path / "wheels"

    def furnish(self) -> None:
        """Make the folders; raises OSError."""
        for folder in (self.inside, self.inside / "tmp"):
            folder.mkdir(mode=0o700, parents=True)
            self.cage.own(folder)
        self.wheels.mkdir(mode=0o700)

    def put(self, text: str) -> str:
        """Hand a text in; returns the path of its file for those inside. Raises OSError."""
        file = self.inside / f"{uuid4().hex}.txt"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(text)
        self.cage.own(file)
        return f"{HOME}/{file.name}"

    def take(self, path: str | Path, limit_bytes: int, target: Path) -> bool:
        """Copy a plain file from inside to where only we write; False when it is none, or larger. Raises OSError.

        Its rights and its owner stay behind. Nothing runs inside any more, so that what was looked at stays.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit_bytes:
            os.close(descriptor)
            return False
        with os.fdopen(descriptor, "rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        return True

    def discard(self) -> None:
        """Remove everything, whatever rights those inside gave it; nothing of theirs runs any more."""
        with contextlib.suppress(OSError):
            remove_tree(self.path)
