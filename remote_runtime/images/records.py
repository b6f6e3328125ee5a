"""What the builder hands out and what it writes down beside what it built."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from kernel_bridge.protocol.containers import Mount
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.wire import from_wire, to_wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment that is ready to start a container in."""

    digest: str  # of the virtual environment; recipes that install the same share it
    path: Path
    python: Path  # its interpreter
    version: str  # "3.11"
    site_packages: Path
    env: dict[str, str] = field(default_factory=dict)  # the recipe's variables
    workdir: str = ""  # the recipe's, absolute, or empty
    mounts: tuple[Mount, ...] = ()  # the recipe's local files and folders, read-only
    layers: tuple[str, ...] = ()  # the recipe's local Python sources: directories to be importable
    image: str = ""  # a container engine's id; then the rest is what our agent needs beside it
    cached: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Packages to be importable beside an environment: a directory for `sys.path`."""

    digest: str
    path: Path
    requirements: tuple[str, ...]  # what is in it; what the environment has itself is not
    cached: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatus:
    """An image recipe this host was asked for, and how that went."""

    digest: str  # the recipe's
    label: str
    base: str
    python: str
    state: str  # "building", "ready" or "failed"
    environment: str = ""  # the virtual environment's digest
    seconds: float = 0.0  # of the build
    detail: str = ""  # failed: the failing line
    image: str = ""  # a container engine's id
    log: str = ""  # whose log is this recipe's; empty: the environment's
    layers: tuple[str, ...] = ()  # names of the engine's images it is made of, the last of them itself
    size_bytes: int = 0  # of what it holds, what it shares with others included
    used_at_s: float = 0.0  # when a container last started from it


class Records:
    """Small JSON files under one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def image(self, status: ImageStatus) -> None:
        """Write down how a recipe stands."""
        write_json(self._root / f"{status.digest}.json", to_wire(status))

    def find(self, digest: str) -> ImageStatus | None:
        """Return what is known of a recipe."""
        file = self._root / f"{digest}.json"
        return from_wire(ImageStatus, json.loads(file.read_text())) if file.is_file() else None

    def keep(self, recipe: ImageRecipe) -> None:
        """Write down a recipe, for those who want to read or to export it."""
        file = self._root / f"{recipe.digest}.recipe"
        if not file.is_file():
            write_json(file, to_wire(recipe))

    def recipe(self, digest: str) -> ImageRecipe | None:
        """Return a recipe that was asked for."""
        file = self._root / f"{digest}.recipe"
        return from_wire(ImageRecipe, json.loads(file.read_text())) if file.is_file() else None

    def used_at_s(self, digest: str) -> float:
        """Return when a recipe was last written down."""
        file = self._root / f"{digest}.json"
        return file.stat().st_mtime if file.is_file() else 0.0

    def forget(self, digest: str) -> None:
        """Let go of what is known of a recipe."""
        for suffix in ("json", "recipe"):
            (self._root / f"{digest}.{suffix}").unlink(missing_ok=True)

    def images(self, under_way: Iterable[str]) -> list[ImageStatus]:
        """Return all recipes, the latest first; one that was building when its process ended reads as failed."""
        files = sorted(self._root.glob("[!.]*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
        building = frozenset(under_way)
        known = [from_wire(ImageStatus, json.loads(file.read_text())) for file in files]
        return [
            status if status.state != "building" or status.environment in building else _interrupted(status)
            for status in known
        ]


def write_json(file: Path, value: Any) -> None:
    """Replace a file in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half_done = file.with_name(f".{file.name}.{uuid4().hex}")
    half_done.write_text(json.dumps(value, indent=1))
    half_done.replace(file)


def _interrupted(status: ImageStatus) -> ImageStatus:
    detail = "The build was interrupted; ask for the image again."
    return replace(status, state="failed", seconds=0.0, detail=detail)
