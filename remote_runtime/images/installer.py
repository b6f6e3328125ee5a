"""What uv is told to do, in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from remote_runtime.images.environment import EnvironmentPlan, Install
from remote_runtime.images.pip_config import PipOptions
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
        command = ["--link-mode", "hardlink", *where, *self._limits(install.constraints), "--", *install.requirements]
        environment = self.options.environment(install.index)
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

    def _limits(self, constraints: tuple[str, ...]) -> list[str]:
        if not constraints:
            return []
        text = "\n".join(constraints)
        file = self.scratch / f"constraints-{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
        if not file.is_file():
            half_done = file.with_suffix(f".{uuid4().hex}")
            half_done.write_text(text)
            half_done.replace(file)
        return ["--constraints", str(file)]
