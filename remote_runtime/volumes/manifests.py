"""What a version of a volume consists of, and how that is written down: one line of JSON a name, compressed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from kernel_bridge.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a volume: when it was committed, and what it holds."""

    version: int
    created_at_s: float
    message: str = ""
    files: int = 0
    size_bytes: int = 0  # of all its files
    new_bytes: int = 0  # of disk, beyond what earlier versions hold
    skipped: int = 0  # pipes, sockets and devices, which no version holds


@dataclass(frozen=True, slots=True)
class Item:
    """One name of a version. `stamp` tells whether the live file is still the one that was kept."""

    path: str
    kind: Literal["file", "directory", "link"]
    content: str = ""  # a file's object, or what a link says
    size_bytes: int = 0
    stamp: tuple[int, int, int, int] = (0, 0, 0, 0)  # inode, size, mtime and ctime in nanoseconds


class Manifests:
    """The versions of one volume, two files each: a line about it, and its items."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def versions(self) -> tuple[Version, ...]:
        """Return the versions, oldest first."""
        return tuple(_version(path) for path in sorted(self._directory.glob("*.json")))

    def get(self, version: int) -> Version:
        """Return one version; raises NotFound."""
        path = self._about(version)
        if not path.exists():
            raise NotFound(f"There is no version {version} of this volume: `cellburst volume log NAME` lists them.")
        return _version(path)

    def items(self, version: int) -> Iterator[Item]:
        """Yield what a version consists of, directories before what is in them."""
        unpacker, rest = zlib.decompressobj(), b""
        with self._items(version).open("rb") as file:
            while piece := file.read(1 << 18):
                *lines, rest = (rest + unpacker.decompress(piece)).split(b"\n")
                yield from map(_item, lines)
            *lines, _ = (rest + unpacker.flush()).split(b"\n")
            yield from map(_item, lines)

    def write(self, version: Version, items: Iterable[Item]) -> None:
        """Write a version down: it is there when its line is."""
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = self._directory / ".items"
        packer = zlib.compressobj(1)
        with temporary.open("wb") as file:
            for item in items:
                file.write(packer.compress(_line(item)))
            file.write(packer.flush())
            os.fsync(file.fileno())
        temporary.rename(self._items(version.version))
        about = self._directory / ".about"
        about.write_text(json.dumps(asdict(version)))
        about.rename(self._about(version.version))

    def forget(self, version: int) -> None:
        """Forget a version; its objects are the caller's matter."""
        self._about(version).unlink(missing_ok=True)
        self._items(version).unlink(missing_ok=True)

    def _about(self, version: int) -> Path:
        return self._directory / f"{version:08}.json"

    def _items(self, version: int) -> Path:
        return self._directory / f"{version:08}.items"


def _version(path: Path) -> Version:
    return Version(**json.loads(path.read_text()))


def _line(item: Item) -> bytes:
    # Names are bytes and need not be text: JSON's escapes take the halves of characters that stand for such bytes.
    return json.dumps([item.path, item.kind[0], item.content, item.size_bytes, *item.stamp]).encode() + b"\n"


def _item(line: bytes) -> Item:
    path, kind, content, size_bytes, *stamp = json.loads(line)
    kinds: dict[str, Literal["file", "directory", "link"]] = {"f": "file", "d": "directory", "l": "link"}
    return Item(path, kinds[kind], content, size_bytes, (stamp[0], stamp[1], stamp[2], stamp[3]))
