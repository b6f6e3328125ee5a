"""A Dockerfile's context: which files of a folder belong to it, as one archive that depends on nothing but them."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.images import FILES_LIMIT_BYTES

_SPECIAL: Final = re.compile(r"\*\*/?|\*|\?|\[[^\]]*\]|\\.|.", re.DOTALL)


def dockerfile_context(dockerfile: Path, folder: Path, ignore: Sequence[str] | None) -> tuple[str, str]:
    """Return the Dockerfile's path inside its context and the context as content of a step.

    The Dockerfile may lie outside the folder, as for `docker build -f`. `ignore` is in the place of a `.dockerignore`.
    Raises BadImage.
    """
    if not dockerfile.is_file():
        raise BadImage(f"There is no Dockerfile {dockerfile}.")
    if not folder.is_dir():
        raise BadImage(f"There is no folder {folder}.")
    patterns = _ignore_file(dockerfile, folder) if ignore is None else list(ignore)
    files = {relative: path for relative, path in _entries(folder, patterns) if relative != "Dockerfile"}
    inside = dockerfile.resolve().is_relative_to(folder.resolve())
    name = dockerfile.resolve().relative_to(folder.resolve()).as_posix() if inside else ".cellburst.Dockerfile"
    return name, _archive({**files, name: dockerfile}, str(folder))


def folder_context(folder: Path | None, ignore: Sequence[str], more: Mapping[str, Path]) -> str:
    """Return a folder's files and others by their path in the context as content of a step; raises BadImage."""
    if folder is not None and not folder.is_dir():
        raise BadImage(f"There is no folder {folder}.")
    files = dict(_entries(folder, list(ignore))) if folder is not None else {}
    for name, path in more.items():
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not path.is_file():
            raise BadImage(f"`{name}`: a context file has a relative path in the context and a local file.")
        files[str(pure)] = path
    return _archive(files, str(folder or "the context")) if files else ""


def is_ignored(relative: str, patterns: Sequence[str]) -> bool:
    """Tell whether a path is left out by the rules of a `.dockerignore`: the last pattern that fits decides."""
    ignored = False
    for pattern in patterns:
        keeps = pattern.startswith("!")
        if _expression(pattern.lstrip("!")).match(relative):
            ignored = not keeps
    return ignored


def _ignore_file(dockerfile: Path, folder: Path) -> list[str]:
    """One beside the Dockerfile with its name wins over the folder's."""
    for file in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), folder / ".dockerignore"):
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return []


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern fits a path and everything below it."""
    body = "".join(_piece(found[0]) for found in _SPECIAL.finditer(pattern.strip().strip("/").removeprefix("./")))
    try:
        return re.compile(f"(?:{body})(?:/.*)?\\Z", re.DOTALL)
    except re.error:
        raise BadImage(f"`{pattern}` is no pattern of files to leave out.") from None


def _piece(text: str) -> str:
    match text:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if text.startswith("[") and len(text) > 1:
        return text
    return re.escape(text[1:] if text.startswith("\\") and len(text) > 1 else text)


def _entries(folder: Path, patterns: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Files, links and folders, below ignored folders too: a later pattern may let something in again."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if not is_ignored(relative, patterns):
            yield relative, path


def _archive(files: Mapping[str, Path], what: str) -> str:
    size = sum(path.stat().st_size for path in files.values() if path.is_file() and not path.is_symlink())
    if size > FILES_LIMIT_BYTES:
        raise BadImage(
            f"The context {what} has {size / 2**20:.1f} MiB; it may have {FILES_LIMIT_BYTES / 2**20:g} MiB. "
            "Name what the build does not need in .dockerignore, and put data into a volume."
        )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(files):
            _add(archive, name, files[name])
    return base64.b64encode(zlib.compress(packed.getvalue(), 6)).decode()


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    """Whose a file is and when it was changed are of this machine: they would make another image of the same files."""
    entry = archive.gettarinfo(path, arcname=name)
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 or entry.isdir() or entry.issym() else 0o644
    if entry.isreg() or entry.islnk():
        data = path.read_bytes()
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", len(data)
        archive.addfile(entry, io.BytesIO(data))
    elif entry.isdir() or entry.issym():
        archive.addfile(entry)
