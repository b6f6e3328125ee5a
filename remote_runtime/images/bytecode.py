"""Compiled modules: made once per distribution at low priority, hard-linked into whatever installs it later.

A kernel without .pyc files takes five times as long to start, and compiling scikit-learn's closure takes seconds. A
wheel's modules are the same in every environment (uv links the same files), so their compiled forms are too. Python
checks each .pyc against its source's time and size: one that does not fit is compiled again, never used.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

# Modules as lines of JSON, source and compiled form: where one cannot be compiled there is none. Then all the rest.
_COMPILE: Final = """
import compileall, json, os, py_compile, sys
os.nice(19)
for line in sys.stdin:
    source, compiled = json.loads(line)
    try:
        py_compile.compile(source, cfile=compiled, quiet=2)
    except Exception:
        pass
if len(sys.argv) > 1:
    compileall.compile_dir(sys.argv[1], quiet=2, workers=1)
"""
_COMPILE_LIMIT_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class BytecodeStore:
    """The compiled modules of this host, by distribution and Python version.

    The store is shared, so it takes nothing that came with a distribution: only what this host compiled itself, from
    modules that are what their distribution's list says.
    """

    root: Path

    async def compile(self, interpreter: str, site: Path, version: str, environment: Mapping[str, str]) -> None:
        """Compile all modules below `site` with a Python of this host, which runs nothing that is installed there."""
        new = await asyncio.to_thread(self._missing, site, version)
        made = {key: self._half_done(key, version) for key in new}
        modules = [(f"{site}/{path}", f"{made[key]}/{_compiled(path, version)}") for key in new for path in new[key]]
        try:
            whole = await _run(interpreter, (), modules, environment)
            for key, folder in made.items() if whole else ():
                await asyncio.to_thread(_settle, folder, self.root / version / key)
        finally:
            for folder in made.values():
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await asyncio.to_thread(self.restore, site, version)
        await _run(interpreter, (str(site),), (), environment)

    def _missing(self, site: Path, version: str) -> dict[str, list[str]]:
        return {
            key: list(found)
            for key, found in _distributions(site)
            if not (self.root / version / key).exists() and _is_as_listed(site, found)
        }

    def _half_done(self, key: str, version: str) -> Path:
        folder = self.root / version / f".{key}.{uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

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


async def _run(
    interpreter: str, arguments: Sequence[str], modules: Sequence[tuple[str, str]], environment: Mapping[str, str]
) -> bool:
    """Isolated and without `site`: no `.pth` file, no `sitecustomize`, no variable decides what runs."""
    process = await asyncio.create_subprocess_exec(
        interpreter,
        *("-I", "-S", "-c", _COMPILE, *arguments),
        stdin=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_COMPILE_LIMIT_S):
            await process.communicate("".join(f"{json.dumps(pair)}\n" for pair in modules).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode == 0


def _distributions(site: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The key and the modules with their hashes of each distribution: the key is that of all of it."""
    for record in sorted(site.glob("*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.reader(lines) if len(row) == 3 and row[0].endswith(".py")]
        found = {path: digest for path, digest, _ in rows if digest and _is_inside(path)}
        if found:
            content = "\n".join(f"{path} {found[path]}" for path in sorted(found))
            yield hashlib.sha256(content.encode()).hexdigest(), found


def _compiled(module: str, version: str) -> str:
    """Where Python of that minor version keeps the compiled form of a module."""
    folder, slash, name = module.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.cpython-{version.replace('.', '')}.pyc"


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/") and "\0" not in path


def _is_as_listed(site: Path, found: Mapping[str, str]) -> bool:
    """Who lists hashes of another distribution would have his modules' compiled forms in everybody's environments."""
    try:
        return all(digest == _listed(site / path) for path, digest in found.items())
    except OSError:
        return False


def _listed(module: Path) -> str:
    digest = hashlib.sha256(module.read_bytes()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _settle(half_done: Path, final: Path) -> None:
    with contextlib.suppress(OSError):  # another environment kept the same distribution meanwhile
        half_done.rename(final)


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
