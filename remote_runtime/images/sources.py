"""Wheels out of source distributions: resolved and built behind walls, with a cache that ends with the build.

What comes out of the walls is looked at as hostile: a list of pins, and wheel files of the names that were asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from kernel_bridge.errors import BuildFailed
from remote_runtime.images.cage import Cage, Room
from remote_runtime.images.environment import Install
from remote_runtime.images.pip_config import PipOptions, local_places, without_local_places
from remote_runtime.images.requirements import canonical
from remote_runtime.images.uv import Fence, Progress, Uv
from remote_runtime.linux.cage import HOME

_WHEEL: Final = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)(-\d[^-]*)?(-[A-Za-z0-9_.]+){3}\.whl\Z")
_PIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?(==[A-Za-z0-9.!_+]+| @ \S+)\Z")
_PINS_LIMIT_BYTES: Final = 1 << 22
_WHEEL_LIMIT_BYTES: Final = 8 << 30
# Host settings that would lead out of the walls, or name what is not there.
_NOT_INSIDE: Final = re.compile(r"UV_(CACHE_DIR|NO_CACHE|\w+_DIR)\Z|XDG_\w+\Z|NETRC\Z", re.IGNORECASE)
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """One installation's way from sources to wheels; every method raises UvRefused, BuildFailed or OSError."""

    uv: Uv
    options: PipOptions
    cage: Cage
    room: Room
    interpreter: str  # of the host: no environment's
    install: Install

    async def resolve(self, present: Sequence[str], progress: Progress) -> tuple[str, ...]:
        """Return a pin for everything the installation needs; versions that are `present` are preferred."""
        requirements = self.room.put("\n".join(self.install.requirements))
        pins = self.room.put("\n".join(present))
        command = ["pip", "compile", "--no-header", "--no-annotate", "--python", self.interpreter]
        if self.install.constraints:
            command += ["--constraints", self.room.put("\n".join(self.install.constraints))]
        await self._run([*command, "--output-file", pins, requirements], partial(_without_pins, progress))
        return self._pins(Path(pins).name)

    async def wheel(self, pin: str, name: str, progress: Progress) -> str:
        """Build one pin's source into the room's wheels; returns the pin of that wheel."""
        target = f"{HOME}/{len(list(self.room.wheels.iterdir()))}"
        where = ["--python", self.interpreter, "--target", target]
        await self._run(["pip", "install", "--no-deps", *where, "--requirements", self.room.put(pin)], progress)
        for found in self._built(name):
            if self.room.take(found, _WHEEL_LIMIT_BYTES, self.room.wheels / found.name):
                return f"{name}=={found.name.split('-')[1]}"
        raise BuildFailed(f"uv built no wheel of `{name}`. Ask for a version that has one.")

    async def _run(self, arguments: Sequence[str], progress: Progress) -> None:
        with ExitStack() as opened:
            readable = self._readable()
            prefix, inherited = self.cage.command(self.room.inside, Path(self.interpreter), readable, opened)
            fence = Fence(tuple(prefix), tuple(inherited))
            await self.uv.run(arguments, self._environment(), progress, fence)

    def _environment(self) -> Mapping[str, str]:
        index = self.install.index if self.cage.shows_named else without_local_places(self.install.index)
        usual = {name: value for name, value in self.options.environment(index).items() if not _NOT_INSIDE.match(name)}
        own = {"HOME": HOME, "TMPDIR": "/tmp", "UV_CACHE_DIR": f"{HOME}/cache"}  # noqa: S108 - its own one
        settings = {"XDG_CONFIG_HOME": str(self._settings_home())}
        return {**usual, **own, **settings, **self.cage.variables}

    def _readable(self) -> Iterator[Path]:
        variables = self.options.variables
        yield Path(self.uv.program)
        yield from self.options.places()
        yield from (Path(variables[name]) for name in _CERTIFICATES if variables.get(name))
        for file in (self._settings_home() / "uv/uv.toml", Path("/etc/uv/uv.toml"), _named(variables)):
            if file is not None:
                yield file
        if self.cage.shows_named:
            yield from local_places(self.install.index)

    def _settings_home(self) -> Path:
        """Where uv looks for its user's settings: that one file is shown at its own place."""
        variables = self.options.variables
        return Path(variables.get("XDG_CONFIG_HOME") or Path(variables.get("HOME", "/"), ".config"))

    def _pins(self, name: str) -> tuple[str, ...]:
        taken = self.room.path / "pins.txt"
        if not self.room.take(self.room.inside / name, _PINS_LIMIT_BYTES, taken):
            raise BuildFailed("uv resolved nothing. Correct the packages and run the cell again.")
        lines = [line.partition(" ; ")[0].strip() for line in taken.read_text(errors="replace").splitlines()]
        pins = tuple(line for line in lines if line and not line.startswith("#"))
        if strange := next((pin for pin in pins if not _PIN.match(pin)), None):
            raise BuildFailed(
                f"`{strange[:80]}` is no version of a package. Correct the packages and run the cell again."
            )
        return pins

    def _built(self, name: str) -> Iterator[Path]:
        """The wheels of that name in the private cache: uv keeps what it built there."""
        for folder, _, files in os.walk(self.room.inside / "cache"):
            for file in files:
                match = _WHEEL.match(file)
                if match and canonical(match[1]) == canonical(name):
                    yield Path(folder, file)


def _without_pins(progress: Progress, line: str) -> None:
    """uv says its result as well: nobody wants to read it before it is there."""
    if not _PIN.match(line.strip()):
        progress(line)


def _named(variables: Mapping[str, str]) -> Path | None:
    return Path(variables["UV_CONFIG_FILE"]) if variables.get("UV_CONFIG_FILE") else None
