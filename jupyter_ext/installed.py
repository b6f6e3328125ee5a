"""The distributions installed beside this kernel: read from their folders' names and lists, kept until those change.

`importlib.metadata` parses every METADATA file as an e-mail, which takes a quarter of a second for a data science
environment; a cell cannot wait for that.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

try:
    from packaging.requirements import InvalidRequirement, Requirement
except ImportError:  # then dependencies with conditions are taken where they are installed
    Requirement = None  # type: ignore[assignment, misc]

_FOLDER: Final = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-py[0-9.]+)?\.(?:dist|egg)-info\Z")
_REQUIRED: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")

Need = tuple[str, frozenset[str]]  # a canonical name and the extras asked for


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution, by its folder of metadata."""

    name: str  # canonical
    version: str
    folder: Path

    @property
    def location(self) -> Path:
        """Return the directory its modules are in."""
        return self.folder.parent

    @property
    def modules(self) -> tuple[str, ...]:
        """Return its top-level import names."""
        return _modules(self.folder)

    @property
    def is_local(self) -> bool:
        """Tell whether it was installed from a folder of this machine, editable or not: no index has it."""
        origin = _origin(self.folder)
        return "dir_info" in origin and str(origin.get("url", "")).startswith("file:")

    @property
    def requirement(self) -> str:
        """Return what installs exactly this elsewhere."""
        origin = _origin(self.folder)
        url = str(origin.get("url", ""))
        if url.startswith("https://") and "vcs_info" in origin:
            return f"{self.name} @ git+{url}@{origin['vcs_info'].get('commit_id', '')}"
        if url.startswith("https://"):
            return f"{self.name} @ {url}"
        return f"{self.name}=={self.version}"

    def needs(self, extras: frozenset[str]) -> list[Need]:
        """Return what it depends on here, for these extras of its own."""
        return _needs(self.folder, extras)

    def has(self, dotted: str) -> bool:
        """Tell whether a dotted module or package is among its files."""
        path = dotted.replace(".", "/")
        return any(line.startswith((f"{path}/", f"{path}.")) for line in _record(self.folder))


class Catalogue:
    """All distributions that imports of this kernel can reach; the first on `sys.path` counts."""

    def __init__(self, folders: Iterator[Path]) -> None:
        self._by_name: dict[str, Distribution] = {}
        self._by_module: dict[str, list[Distribution]] = {}
        for folder in folders:
            self._add(folder)

    def find(self, name: str) -> Distribution | None:
        """Return the distribution of that canonical name."""
        return self._by_name.get(name)

    def owners(self, dotted: str, root: Path | None) -> list[Distribution]:
        """Return the distributions a module comes from: several only for a namespace they share.

        `root` is where Python finds its top-level name: a file of the working directory hides a package of that name.
        """
        found = self._by_module.get(dotted.partition(".")[0], [])
        if root is not None:
            shared = root.is_dir() and not (root / "__init__.py").exists()  # a namespace may lie in several places
            found = [one for one in found if shared or one.is_local or root.parent == one.location]
        return ([one for one in found if one.has(dotted)] if len(found) > 1 else []) or list(found)

    def _add(self, folder: Path) -> None:
        match = _FOLDER.match(folder.name)
        if not match or canonical(match["name"]) in self._by_name:
            return
        one = Distribution(canonical(match["name"]), match["version"], folder)
        self._by_name[one.name] = one
        for module in one.modules:
            self._by_module.setdefault(module, []).append(one)


def canonical(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def catalogue() -> Catalogue:
    """Return what is installed now; read again only after an install or a change of `sys.path`."""
    return _catalogue(tuple((place, Path(place).stat().st_mtime_ns) for place in _places()))


@lru_cache(maxsize=1)
def _catalogue(places: tuple[tuple[str, int], ...]) -> Catalogue:
    folders = (folder for place, _ in places for folder in sorted(Path(place).iterdir()))
    return Catalogue(folder for folder in folders if folder.name.endswith("-info"))


def _places() -> list[str]:
    return [place for place in dict.fromkeys(sys.path) if place and Path(place).is_dir()]


@cache
def _modules(folder: Path) -> tuple[str, ...]:
    listed = _text(folder / "top_level.txt").split()
    if not listed:
        first = {line.partition("/")[0] if "/" in line else line.partition(".")[0] for line in _record(folder)}
        listed = sorted(first)
    names = (name.replace("/", ".").partition(".")[0] for name in listed)
    return tuple(dict.fromkeys(name for name in names if name.isidentifier() and name != "__pycache__"))


def _record(folder: Path) -> list[str]:
    """The paths of its Python and compiled files, below its location."""
    lines = _text(folder / "RECORD").splitlines()
    paths = (line.partition(",")[0] for line in lines)
    return [
        path for path in paths if path.endswith((".py", ".so", ".pyd", ".pyi")) and not path.startswith(("..", "/"))
    ]


@cache
def _origin(folder: Path) -> dict[str, Any]:
    text = _text(folder / "direct_url.json")
    try:
        origin = json.loads(text) if text else {}
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}


@cache
def _needs(folder: Path, extras: frozenset[str]) -> list[Need]:
    """What METADATA requires, or a setuptools `requires.txt` up to its first conditional section."""
    header = _text(folder / "METADATA").partition("\n\n")[0]
    lines = [line[len("Requires-Dist:") :] for line in header.splitlines() if line.startswith("Requires-Dist:")]
    lines = lines or _text(folder / "requires.txt").partition("[")[0].split("\n")
    return [need for line in lines if line.strip() and (need := _need(line.strip(), extras)) is not None]


def _need(line: str, extras: frozenset[str]) -> Need | None:
    if Requirement is None:
        match = _REQUIRED.match(line)
        known = match is not None and "extra ==" not in line
        return (
            (canonical(match[1]), frozenset((match[2] or "").replace(" ", "").split(",")) - {""})
            if match and known
            else None
        )
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    marker = requirement.marker
    holds = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
    return (canonical(requirement.name), frozenset(requirement.extras)) if holds else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
