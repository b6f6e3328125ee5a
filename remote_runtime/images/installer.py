"""What uv is told to do, in which order."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from kernel_bridge.errors import BuildFailed
from remote_runtime.images.cage import Cage, Room
from remote_runtime.images.environment import EnvironmentPlan, Install
from remote_runtime.images.pip_config import IndexOptions, PipOptions, has_credentials, redact
from remote_runtime.images.requirements import canonical, requirement_name
from remote_runtime.images.scripts import relocate_scripts
from remote_runtime.images.sources import Workshop
from remote_runtime.images.uv import Progress, Uv, UvRefused, build_failed, is_error, wants_building


class Withheld:
    """Keeps an error of uv back until it is known whether it is the end: there may be another way."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines: list[str] = []

    def __call__(self, line: str) -> None:
        """Pass a line on, or keep it."""
        if self._lines or is_error(line):
            self._lines.append(line)
        else:
            self._progress(line)

    def release(self) -> None:
        """It was the end."""
        for line in self._lines:
            self._progress(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is installed. No Python of an environment is asked: what is installed there would answer."""

    interpreter: str  # of the host
    target: Path
    is_environment: bool = False
    with_dependencies: bool = True

    @property
    def arguments(self) -> list[str]:
        """What uv is told."""
        where = ["--python", self.interpreter, "--prefix" if self.is_environment else "--target", str(self.target)]
        return where if self.with_dependencies else [*where, "--no-deps"]

    def present(self) -> list[str]:
        """Return pins of what is there already."""
        found = (
            folder.name.removesuffix(".dist-info") for folder in self.target.glob("lib/*/site-packages/*.dist-info")
        )
        return ["==".join(name.split("-", 1)) for name in found if self.is_environment and "-" in name]


@dataclass(frozen=True, slots=True)
class Installer:
    """Fills directories through uv; every method raises BuildFailed naming the requirement at fault.

    With a cage, uv itself only unpacks: what has to be built is built behind walls. Without, uv builds as what we are.
    """

    uv: Uv
    options: PipOptions
    scratch: Path
    cage: Cage | None = None

    async def environment(self, plan: EnvironmentPlan, interpreter: str, target: Path, progress: Progress) -> None:
        """Make a virtual environment that may be renamed afterwards, and install the plan's steps in their order."""
        make = ["venv", "--quiet", "--no-project", "--relocatable", "--python", interpreter, str(target)]
        try:
            await self.uv.run(make, self.options.environment(), progress)
        except UvRefused as refused:
            raise build_failed(refused, ()) from refused
        place = Place(interpreter=interpreter, target=target, is_environment=True)
        for install in plan.installs:
            await self._install(install, place, progress)
        await asyncio.to_thread(relocate_scripts, target / "bin", interpreter)

    async def layer(
        self, pins: tuple[str, ...], interpreter: str, target: Path, progress: Progress, *, with_dependencies: bool
    ) -> None:
        """Install exact pins into a directory of their own."""
        place = Place(interpreter=interpreter, target=target, with_dependencies=with_dependencies)
        if pins:
            await self._install(Install(pins), place, progress)

    async def _install(self, install: Install, place: Place, progress: Progress) -> None:
        said = Withheld(progress)
        try:
            await self._unpack(install, place, said)
        except UvRefused as refused:
            if self.cage is not None and wants_building(refused.lines):
                await self._build(self.cage, install, place, progress, refused)
                return
            said.release()
            raise build_failed(refused, install.requirements) from refused

    async def _build(self, cage: Cage, install: Install, place: Place, progress: Progress, refused: UvRefused) -> None:
        """Turn what has no wheel into wheels behind the walls, then unpack those."""
        if cage.refusal:
            name = next(filter(None, wants_building(refused.lines)), "a package")
            raise BuildFailed(
                f"`{name}` has no wheel, and building its source would run its code as root here, unprotected: "
                f"{cage.refusal}. Ask for a version that has a wheel, or run the runtime as an ordinary user."
            )
        room = Room(place.target.with_name(f"{place.target.name}.build"), cage)
        shop = Workshop(
            uv=self.uv, options=self.options, cage=cage, room=room, interpreter=place.interpreter, install=install
        )
        try:
            room.furnish()
            await self._from_sources(shop, place, progress)
        except UvRefused as failed:
            raise build_failed(failed, install.requirements) from failed
        except OSError as error:
            raise BuildFailed(f"The sources could not be built: {error}.") from error
        finally:
            await asyncio.to_thread(room.discard)

    async def _from_sources(self, shop: Workshop, place: Place, progress: Progress) -> None:
        resolved = place.with_dependencies
        pins = await shop.resolve(place.present(), progress) if resolved else shop.install.requirements
        chosen = {requirement_name(pin): pin for pin in pins}
        index = shop.install.index.plus(IndexOptions(find_links=(str(shop.room.wheels),)))
        built: set[str] = set()
        while True:
            said = Withheld(progress)
            exact = Install(tuple(chosen.values()), index=index)
            try:
                await self._unpack(exact, replace(place, with_dependencies=False), said)
            except UvRefused as refused:
                wanted = {canonical(name) for name in wants_building(refused.lines)} & chosen.keys() - built
                if not wanted:
                    said.release()
                    raise
                for name in sorted(wanted):
                    chosen[name] = await shop.wheel(chosen[name], name, progress)
                built |= wanted
            else:
                return

    async def _unpack(self, install: Install, place: Place, progress: Progress) -> None:
        """Exact versions come out of uv's cache without asking the index (0.25 s) where they are all there."""
        # Arguments are visible to every user of the host: what holds a password goes in a file.
        hidden = [requirement for requirement in install.requirements if has_credentials(requirement)]
        shown = [requirement for requirement in install.requirements if requirement not in hidden]
        only = [] if self.cage is None else ["--no-build"]
        command = ["--link-mode", "hardlink", *only, *place.arguments, *self._limits(install.constraints)]
        environment = self.options.environment(install.index)
        with self._private_file(hidden) as named:
            command += [*named, "--", *shown]
            if install.is_exact and await self._from_cache(command, environment, progress):
                return
            await self.uv.run(["pip", "install", *command], environment, progress)

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
