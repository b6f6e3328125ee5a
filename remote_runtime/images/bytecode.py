"""Compiled modules: made once per distribution at low priority, hard-linked into whatever installs it later.

A kernel without .pyc files takes five times as long to start, and compiling scikit-learn's closure takes seconds. A
wheel's modules are the same in every environment (uv links the same files), so their compiled forms are too. Python
checks each .pyc against its source's time and size: one that does not fit is compiled again, never used.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

# Runs in the environment's own Python: its bytecode is not ours.
_COMPILE: Final = """
import compileall, os, sys
os.nice(19)
compileall.compile_dir(sys.argv[1], quiet=2, workers=1)
"""
_COMPILE_LIMIT_S: Final = 1800.0


async def compile_once(python: str, site: Path, environment: Mapping[str, str]) -> None:
    """Compile all modules below `site` with that Python."""
    process = await asyncio.create_subprocess_exec(
        python,
        "-I",
        "-c",
        _COMPILE,
        str(site),
        stdin=asyncio.subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_COMPILE_LIMIT_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass(frozen=True, slots=True)
class BytecodeStore:
    """The compiled modules of this host, by distribution and Python version."""

    root: Path

    def keep(self, site: Path, version: str) -> None:
        """Hard-link the compiled modules of every distribution in `site` into the store, unless they are there."""
        for key, modules in _distributions(site):
            if not (self.root / version / key).exists():
                _link_all(site, [_compiled(module, version) for module in modules], self.root / version / key)

    def restore(self, site: Path, version: str) -> bool:
        """Hard-link stored compiled modules into `site`; True when every distribution was in the store."""
        complete = True
        for key, _ in _distributions(site):
            kept = self.root / version / key
            try:
                os.utime(kept)  # wanted
                _copy_tree(kept, site)
            except FileNotFoundError:  # never kept, or evicted just now
                complete = False
        return complete


def _distributions(site: Path) -> Iterator[tuple[str, list[str]]]:
    """The key and the modules of each distribution: the key is that of its modules' hashes."""
    for record in sorted(site.glob("*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.reader(lines) if len(row) == 3 and row[0].endswith(".py")]
        found = {path: digest for path, digest, _ in rows if digest and not path.startswith(("/", ".."))}
        if found:
            content = "\n".join(f"{path} {found[path]}" for path in sorted(found))
            yield hashlib.sha256(content.encode()).hexdigest(), list(found)


def _compiled(module: str, version: str) -> str:
    """Where Python of that minor version keeps the compiled form of a module."""
    folder, slash, name = module.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.cpython-{version.replace('.', '')}.pyc"


def _link_all(site: Path, paths: Iterable[str], target: Path) -> None:
    half_done = target.with_name(f".{target.name}.{uuid4().hex}")
    half_done.mkdir(parents=True)
    for path in paths:
        if (site / path).is_file():  # a module that does not compile has no compiled form
            (half_done / path).parent.mkdir(parents=True, exist_ok=True)
            _link(f"{site}/{path}", f"{half_done}/{path}")
    try:
        half_done.rename(target)
    except OSError:  # another environment kept the same distribution meanwhile
        shutil.rmtree(half_done, ignore_errors=True)


def _copy_tree(source: Path, target: Path) -> None:
    """Link thousands of small files: strings, not paths, and one look at each folder."""
    start = len(str(source))
    for folder, _, names in os.walk(source):
        place = f"{target}{folder[start:]}"
        if names:
            Path(place).mkdir(parents=True, exist_ok=True)
        for name in names:
            _link(f"{folder}/{name}", f"{place}/{name}")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError:  # another file system, or too many links
        shutil.copy2(source, target)
