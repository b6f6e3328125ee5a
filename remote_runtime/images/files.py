"""Files that travel inside a recipe: unpacked once, named by their content."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import uuid4

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import FILES_LIMIT_BYTES, Step


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files below one remote path, or the one file at it when its only relative path is empty."""

    target: str
    files: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        """Return the name of this content, wherever it is to appear."""
        parts = (f"{len(path)}:{path}:{len(data)}:".encode() + data for path, data in sorted(self.files))
        return hashlib.sha256(b"".join(parts)).hexdigest()


def read_file_set(step: Step) -> FileSet:
    """Decode an add_local step; raises BadImage for a path that leaves its place or content that cannot be read."""
    if len(step.args) % 2 == 0:
        raise BadImage(f"{step.kind} wants a remote path, then a path and content for each file.")
    target, *rest = step.args
    if target and (not target.startswith("/") or ".." in PurePosixPath(target).parts):
        raise BadImage(f"{step.kind}: the remote path `{target}` must be absolute and without `..`.")
    pairs = zip(rest[::2], rest[1::2], strict=True)
    files = tuple((_relative(path, step.kind), _content(text, step.kind)) for path, text in pairs)
    if sum(len(data) for _, data in files) > FILES_LIMIT_BYTES:
        raise BadImage(f"{step.kind}: more than {FILES_LIMIT_BYTES >> 10} KiB of files; put them into a volume.")
    return FileSet(target, files)


def unpack(files: FileSet, root: Path) -> Path:
    """Write the files below `root`, unless they are there; return the directory, or the single file, with them."""
    directory = root / files.digest
    if not directory.exists():
        _write(files.files, directory)
    return directory / "file" if _is_single(files.files) else directory


def _write(files: Sequence[tuple[str, bytes]], directory: Path) -> None:
    half_done = directory.with_name(f".{directory.name}.{uuid4().hex}")
    half_done.mkdir(parents=True)
    for path, data in files:
        target = half_done / (path or "file")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    try:
        half_done.rename(directory)
    except OSError:  # someone else was first, with the same content
        shutil.rmtree(half_done, ignore_errors=True)


def _is_single(files: Sequence[tuple[str, bytes]]) -> bool:
    return len(files) == 1 and not files[0][0]


def _relative(path: str, kind: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise BadImage(f"{kind}: `{path}` leaves the folder it is added to.")
    return "" if path == "" else str(pure)


def _content(text: str, kind: str) -> bytes:
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(base64.b64decode(text, validate=True), FILES_LIMIT_BYTES + 1)
    except (zlib.error, binascii.Error, ValueError):
        raise BadImage(f"{kind}: a file's content cannot be read.") from None
    return data
