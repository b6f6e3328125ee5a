"""Files of a build: out of a recipe's steps, and into the archive that a container engine reads."""

from __future__ import annotations

import base64
import binascii
import io
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import FILES_LIMIT_BYTES, Step
from remote_runtime.images.files import read_file_set

CONTEXT_FOLDER: Final = ".cellburst"  # where files of our steps lie in a context
_ARCHIVE_LIMIT_BYTES: Final = 8 * FILES_LIMIT_BYTES  # headers and padding of many small files included


@dataclass(frozen=True, slots=True)
class ContextFile:
    """One entry of a context: a file, or a link where it says where to, or a folder where it has no data."""

    path: str
    data: bytes | None = None
    mode: int = 0o644
    link: str = ""


def files_of_step(step: Step, folder: str) -> tuple[ContextFile, ...]:
    """Return a step's files below a folder of the context; raises BadImage as `read_file_set` does."""
    found = read_file_set(step)
    return tuple(ContextFile(f"{folder}/{path or 'file'}", data) for path, data in sorted(found.files))


def read_context(text: str) -> tuple[ContextFile, ...]:
    """Decode a context; raises BadImage for one that cannot be read, is too large or leaves its folder."""
    try:
        reader = zlib.decompressobj()
        packed = reader.decompress(base64.b64decode(text, validate=True), _ARCHIVE_LIMIT_BYTES)
        if reader.unconsumed_tail:
            raise BadImage(f"A context may have {FILES_LIMIT_BYTES >> 10} KiB of files.")
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            return tuple(_entry(archive, member) for member in archive)
    except (zlib.error, binascii.Error, tarfile.TarError, ValueError, EOFError):
        raise BadImage("The context of a Dockerfile cannot be read.") from None


def pack_context(files: Iterable[ContextFile]) -> bytes:
    """Return a tar archive that depends on nothing but these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for file in sorted(files, key=lambda file: file.path):
            entry = tarfile.TarInfo(file.path)
            entry.mode = file.mode
            entry.size = len(file.data or b"")
            entry.linkname = file.link
            entry.type = tarfile.SYMTYPE if file.link else tarfile.DIRTYPE if file.data is None else tarfile.REGTYPE
            archive.addfile(entry, io.BytesIO(file.data or b""))
    return packed.getvalue()


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> ContextFile:
    pure = PurePosixPath(member.name)
    if pure.is_absolute() or ".." in pure.parts:
        raise BadImage(f"`{member.name[:80]}` leaves the context.")
    mode = member.mode & 0o777
    if member.issym():
        return ContextFile(str(pure), None, mode, member.linkname)
    opened = archive.extractfile(member) if member.isreg() else None
    return ContextFile(str(pure), opened.read() if opened else None, mode)
