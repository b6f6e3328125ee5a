"""What uv is told to do, in which order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kernel_bridge.errors import BuildFailed
from remote_runtime.images.environment import EnvironmentPlan, Install
from remote_runtime.images.pip_config import PipOptions, has_credentials, redact
from remote_runtime.images.uv import Progress, Uv, UvRefused, build_failed


@dataclass(frozen=True, slots=True)
class Installer:
    """Fills directories through uv; every method raises BuildFailed naming the requirement at fault."""

    uv: Uv
    options: PipOptions
    scratch: Path

    async def environment(self, plan: EnvironmentPlan, interpreter: str, target: Path, progress: Progress) -> None:
        """Make a virtual environment that may be renamed afterwards, and install the plan's steps in their order."""
        make = ["venv", "--quiet", "--no-project", "--relocatable", "--python", interpreter, str(target)]
        try:
            await self.uv.run(make, self.options.environment(), progress)
        except UvRefused as refused:
            raise build_failed(refused, ()) from refused
        for install in plan.installs:
            await self._install(install, ["--python", str(target / "bin/python")], progress)

    async def layer(
        self, pins: tuple[str, ...], python: Path, target: Path, progress: Progress, *, with_dependencies: bool
    ) -> None:
        """Install exact pins into a directory of their own."""
        where = ["--python", str(python), "--target", str(target)]
        if pins:
            await self._install(Install(pins), where if with_dependencies else [*where, "--no-deps"], progress)

    async def _install(self, install: Install, where: Sequence[str], progress: Progress) -> None:
        """Exact versions come out of uv's cache without asking the index (0.25 s) where they are all there."""
        # Arguments are visible to every user of the host: what holds a password goes in a file.
        hidden = [requirement for requirement in install.requirements if has_credentials(requirement)]
        shown = [requirement for requirement in install.requirements if requirement not in hidden]
        command = ["--link-mode", "hardlink", *where, *self._limits(install.constraints)]
        environment = self.options.environment(install.index)
        with self._private_file(hidden) as named:
            command += [*named, "--", *shown]
            if install.is_exact and await self._from_cache(command, environment, progress):
                return
            try:
                await self.uv.run(["pip", "install", *command], environment, progress)
            except UvRefused as refused:
                raise build_failed(refused, install.requirements) from refused

    async def _from_cache(self, command: Sequence[str], environment: dict[str, str], progress: Progress) -> bool:
        """Install without the network; False, and nothing said, when something is missing."""
        said: list[str] = []
        try:
            await self.uv.run(["pip", "install", "--offline", *command], environment, said.append)
        except UvRefused:
            return False
        for line in said:
            progress(line)
        return True

    @contextmanager
    def _private_file(self, requirements: Sequence[str]) -> Iterator[list[str]]:
        """Write requirements where only we can read them, for as long as uv runs; yield the arguments that name it."""
        if not requirements:
            yield []
            return
        file = self.scratch / f"requirements-{uuid4().hex}.txt"
        _write_private(file, "\n".join(map(_one_line, requirements)))
        try:
            yield ["--requirements", str(file)]
        finally:
            file.unlink(missing_ok=True)

    def _limits(self, constraints: tuple[str, ...]) -> list[str]:
        if not constraints:
            return []
        text = "\n".join(constraints)
        file = self.scratch / f"constraints-{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
        if not file.is_file():
            half_done = file.with_suffix(f".{uuid4().hex}")
            _write_private(half_done, text)
            half_done.replace(file)
        return ["--constraints", str(file)]


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


def _one_line(requirement: str) -> str:
    """Refuse what would be more than one requirement in a file, or an option; raises BuildFailed."""
    text = requirement.strip()
    if text.startswith("-") or len(text.splitlines()) != 1:
        raise BuildFailed(f"`{redact(text[:80])}` is no requirement. Correct the packages and run the cell again.")
    return text
