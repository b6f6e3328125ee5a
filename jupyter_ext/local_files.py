"""Local modules as files: where they are, and what of them travels."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kernel_bridge.errors import TooLarge

# What a package reads at import beside its modules; anything larger or of another kind belongs in a volume.
_DATA: Final = (
    ".json",
    ".toml",
    ".yaml",
    ".yml",
    ".txt",
    ".csv",
    ".tsv",
    ".ini",
    ".cfg",
    ".sql",
    ".j2",
    ".html",
    ".pyi",
)
_DATA_LIMIT_BYTES: Final = 256 << 10  # of one data file
_TOTAL_LIMIT_BYTES: Final = 16 << 20
_COUNT_LIMIT: Final = 2000
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "venv", "build", "dist", "site-packages"})
_PRIVATE: Final = ("credential", "secret", "password", "token", "id_rsa", "id_ed25519", "netrc")


def local_module_root(name: str) -> Path | None:
    """Return the file or package folder a top-level module is imported from; None for one that has neither."""
    spec = getattr(sys.modules.get(name), "__spec__", None) or _found(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.has_location and spec.origin else None


def local_module_files(module_root: Path) -> list[tuple[str, bytes]]:
    """Return the files of a module or package, as (path below the folder that `sys.path` names, content), sorted.

    Python sources and small data files; nothing hidden, and no data file named like a credential. Raises TooLarge.
    """
    if module_root.is_file():
        return [(module_root.name, module_root.read_bytes())]
    files: list[tuple[str, bytes]] = []
    size = 0
    for path in _walk(module_root):
        size += path.stat().st_size
        if size > _TOTAL_LIMIT_BYTES or len(files) == _COUNT_LIMIT:
            limit = f"{_TOTAL_LIMIT_BYTES >> 20} MiB or {_COUNT_LIMIT} files"
            raise TooLarge(f"The local package {module_root} has more than {limit}; move its data out of the package.")
        files.append((path.relative_to(module_root.parent).as_posix(), path.read_bytes()))
    return sorted(files)


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        yield from (path for name in sorted(names) if _travels(path := Path(place, name)))


def _travels(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    if path.suffix == ".py" or path.name == "py.typed":
        return True
    private = any(word in path.name.lower() for word in _PRIVATE)
    return path.suffix in _DATA and not private and path.stat().st_size <= _DATA_LIMIT_BYTES


def _found(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
