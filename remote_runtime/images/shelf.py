"""What the builder has made, how large it is, when it was last wanted, and how it goes.

Time of use is the time of a file within each thing, so it outlives the process. `use` and `take` are called on the
builder's event loop only: between its look at a thing and its use of it nothing can be taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from remote_runtime.trash import remove_tree

READY: Final = "cellburst-ready.json"  # written last: what has it is whole
ENV, LAYERS, FILES, BYTECODE, TMP = "env", "layers", "files", "bytecode", "tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One thing below the images' folder; `name` is its path there, such as `env/DIGEST`."""

    name: str
    size_bytes: int
    used_at_s: float
    linked: bool = False  # bytecode that something installed shares

    @property
    def digest(self) -> str:
        """Return the last part of its name."""
        return self.name.rpartition("/")[2]


class Shelf:
    """The folder `images` of one data directory."""

    def __init__(self, root: Path, under_way: Callable[[], frozenset[str]]) -> None:
        self._root = root
        self._under_way = under_way  # digests that are being built or compiled
        self._sizes: dict[str, int] = {}  # of things that no longer change

    def use(self, folder: str, digest: str) -> None:
        """Note that this is wanted now; what is not there yet will be new anyway."""
        with suppress(FileNotFoundError):
            os.utime(_dated(self._root / folder / digest))

    def stock(self) -> list[Stored]:
        """Return everything there is. It walks the folders it has not seen yet: call it on a thread."""
        found = [stored for folder in (ENV, LAYERS, FILES) for stored in self._whole(folder)]
        return [*found, *self._bytecode(), *self._leavings({stored.digest for stored in found})]

    def take(self, name: str, unless_used_since_s: float) -> Path | None:
        """Make a thing vanish, unless somebody wanted it meanwhile or builds it; return what `remove` gets."""
        path = self._root / name
        try:
            if _dated(path).stat().st_mtime > unless_used_since_s or path.name in self._under_way():
                return None
            doomed = self._root / TMP / f"gone.{uuid4().hex}"
            path.rename(doomed)
        except FileNotFoundError:
            return None
        self._sizes.pop(name, None)
        return doomed

    def _whole(self, folder: str) -> Iterator[Stored]:
        for path in _entries(self._root / folder):
            name = f"{folder}/{path.name}"
            with suppress(FileNotFoundError):
                used_at_s = _dated(path).stat().st_mtime
                if name not in self._sizes:
                    self._sizes[name] = size_of(path)
                yield Stored(name=name, size_bytes=self._sizes[name], used_at_s=used_at_s)

    def _bytecode(self) -> Iterator[Stored]:
        for version in _entries(self._root / BYTECODE):
            for path in _entries(version):
                name = f"{BYTECODE}/{version.name}/{path.name}"
                with suppress(FileNotFoundError):
                    one = next((file.stat() for file in path.rglob("*.pyc")), None)
                    linked = one is not None and one.st_nlink > 1
                    size_bytes = 0 if linked else size_of(path)
                    yield Stored(name=name, size_bytes=size_bytes, used_at_s=path.stat().st_mtime, linked=linked)

    def _leavings(self, present: set[str]) -> Iterator[Stored]:
        """Logs and records of what is gone, and what an interrupted build or removal left."""
        for folder in ("logs", "recipes", TMP):
            for path in _entries(self._root / folder):
                keeps = path.stem in present if folder == "logs" else path.name.startswith("constraints-")
                with suppress(FileNotFoundError):
                    if not keeps:
                        size_bytes = size_of(path) if path.is_dir() else path.stat().st_size
                        yield Stored(
                            name=f"{folder}/{path.name}", size_bytes=size_bytes, used_at_s=path.stat().st_mtime
                        )


def remove(doomed: Path) -> None:
    """Remove a file or a tree of ours."""
    if doomed.is_dir() and not doomed.is_symlink():
        with suppress(OSError):
            remove_tree(doomed)  # a package of anybody filled it
    else:
        doomed.unlink(missing_ok=True)


def size_of(tree: Path) -> int:
    """Return what the files of a tree have in bytes; those of others that vanish meanwhile count nothing."""
    total = 0
    pending = [str(tree)]
    while pending:  # not by recursion: a cell may have made it deeper than Python's stack
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _dated(path: Path) -> Path:
    """Return the file whose time is the time of use."""
    mark = path / READY
    return mark if mark.is_file() else path


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
