"""Files that come home: where they land, and that nothing of the notebook's is lost by it.

Nothing is written outside the notebook's folder, and nothing is half-written: content goes to a temporary file beside
its place first. The container is not trusted with paths: each is resolved here, links included.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from jupyter_ext.files import LocalFiles, looks_secret
from kernel_bridge.capture.handle import format_bytes
from kernel_bridge.protocol.cells import UNLISTED_FOLDERS, FileRef
from kernel_bridge.protocol.messages import Buffer

_PERMISSIONS: Final = 0o777  # never setuid and its like
_CLOCK_NS: Final = 20_000_000  # file systems' clocks tick more coarsely than ours


@dataclass(frozen=True, slots=True)
class Seen:
    """What this side knows of the container's view of its files, when something comes home."""

    digests: Mapping[str, str] = field(default_factory=dict)  # path -> content the container started from
    listed: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # path -> mtime and size it was told
    sent_ns: int = 0  # when the cell was sent; what is older was there for it to see


def land(files: LocalFiles, ref: FileRef, data: Buffer | None, seen: Seen) -> tuple[str, str]:
    """Do here what the cell did there; return where a file lies now and a line to show, each may be empty."""
    path = may_receive(files, ref.path)
    if path is None:
        return "", f"{ref.path} stayed remote: it is not a file this notebook may receive."
    if ref.kind == "folder":
        return "", _folder(path, ref)
    if ref.kind == "link":
        return _link(files, path, ref)
    untouched = is_untouched(files, path, ref, seen)
    if ref.deleted:
        return "", _delete(path, ref.path) if untouched else f"{ref.path} was deleted remotely but changed here: kept."
    if data is None and ref.digest:
        return "", _touch(files, path, ref)
    if data is None:
        return (
            "",
            f"{ref.path} ({format_bytes(ref.size_bytes)}) stayed remote: `%gpu_get {_word(ref.path)}` brings it here.",
        )
    return _put(files, path, path if untouched else beside(path), ref, data)


@contextlib.contextmanager
def incoming(target: Path, ref: FileRef) -> Iterator[int]:
    """Yield a descriptor to write to; what was written takes the file's place at the end, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            yield descriptor
            _dress(temporary, target, ref)
        finally:
            os.close(descriptor)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_all(descriptor: int, data: Buffer) -> None:
    """Write all of it; raises OSError."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def beside(path: Path) -> Path:
    """Return where the remote one goes when the local one must stay."""
    return path.with_name(f"{path.stem}__remote{path.suffix}")


def may_receive(files: LocalFiles, path: str) -> Path | None:
    """Return where a file of the container's may be written; None where it may not."""
    return None if looks_secret(path) else _place(files, path)


def is_untouched(files: LocalFiles, path: Path, ref: FileRef, seen: Seen) -> bool:
    """Tell whether the local file, at the place it may be received in, is what the container knew, or what it has."""
    try:
        status = path.stat()
    except OSError:
        return True
    if not stat.S_ISREG(status.st_mode):
        return False
    base = seen.digests.get(ref.path, "")
    if base or ref.digest:
        now = files.current_digest(path)
        if now in {base, ref.digest} - {""}:
            return True
    if base:
        return False
    if ref.path in seen.listed:
        return seen.listed[ref.path] == (status.st_mtime_ns, status.st_size)
    # The container was not told of it, but it was there: a cell here would have written over it, too.
    return not ref.deleted and max(status.st_mtime_ns, status.st_ctime_ns) < seen.sent_ns - _CLOCK_NS


def _place(files: LocalFiles, text: str) -> Path | None:
    pure = PurePosixPath(text)
    if pure.is_absolute() or ".." in pure.parts or (os.sep in text and os.sep != "/") or not _may_enter(pure):
        return None
    return files.inside(text)


def _may_enter(path: PurePosixPath) -> bool:
    # Programs run by themselves what lies there: a cell must leave no command where the notebook's user only looks.
    # Some file systems take other spellings for the same name: other letters, ignored ones, dots and spaces at the end.
    return UNLISTED_FOLDERS.isdisjoint(
        "".join(filter(str.isprintable, part)).lower().rstrip(". ") for part in path.parts
    )


def _put(files: LocalFiles, path: Path, target: Path, ref: FileRef, data: Buffer) -> tuple[str, str]:
    """Write a file to its place, or to one beside it where that was touched here."""
    if files.current_digest(path) == ref.digest:
        return "", _touch(files, path, ref)
    try:
        with incoming(target, ref) as descriptor:
            write_all(descriptor, data)
    except OSError as error:
        why = error.strerror or error
        return "", f"{ref.path} could not be written here ({why}): `%gpu_get {_word(ref.path)}` tries again."
    name = target.relative_to(files.folder).as_posix()
    return name, "" if target == path else f"{ref.path} changed here too: the remote one is {name}."


def _folder(path: Path, ref: FileRef) -> str:
    try:
        if not ref.deleted:
            path.mkdir(parents=True, exist_ok=True)
        elif path.is_dir():
            path.rmdir()
    except OSError as error:
        if ref.deleted:  # there is something in it that the container did not have
            return ""
        return f"{ref.path} could not be made here ({error.strerror or error})."
    return ""


def _link(files: LocalFiles, path: Path, ref: FileRef) -> tuple[str, str]:
    """Make a link that leads to a place in the folder; `path` is resolved, so the link's own place is found anew."""
    place = files.inside(str(PurePosixPath(ref.path).parent), itself=True)
    if place is None:
        return "", ""
    link = place / PurePosixPath(ref.path).name
    if ref.deleted:
        return "", _delete(link, ref.path) if link.is_symlink() else ""
    target = Path(os.path.realpath(os.path.normpath(place / ref.target)))
    if ref.target.startswith("/") or not target.is_relative_to(files.folder):
        return "", f"{ref.path} stayed remote: it is a link that leads out of the notebook's folder."
    if target == link:
        return "", f"{ref.path} stayed remote: it is a link to itself."
    if path.exists() and not link.is_symlink():
        return "", f"{ref.path} is a link remotely and a file here: kept."
    try:
        link.unlink(missing_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target, place))  # resolved: a link on its way could be changed later
    except OSError as error:
        return "", f"{ref.path} could not be made here ({error.strerror or error})."
    return ref.path, ""


def _touch(files: LocalFiles, path: Path, ref: FileRef) -> str:
    """Give a file whose content is the same its time and permissions."""
    if files.current_digest(path) == ref.digest:
        with contextlib.suppress(OSError):
            if (mode := _permissions(path, ref)) is not None:
                path.chmod(mode)
            if ref.mtime_ns:
                os.utime(path, ns=(ref.mtime_ns, ref.mtime_ns))
    return ""


def _dress(temporary: Path, target: Path, ref: FileRef) -> None:
    """Give a file the permissions and the time it has there."""
    with contextlib.suppress(OSError):
        if (mode := _permissions(target, ref)) is not None:
            temporary.chmod(mode)
        if ref.mtime_ns:
            os.utime(temporary, ns=(ref.mtime_ns, ref.mtime_ns))


def _permissions(path: Path, ref: FileRef) -> int | None:
    """Return what to set: a file that only its owner could not write came there as one that it can."""
    mode = ref.mode & _PERMISSIONS
    there = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    return there if not mode or (there is not None and there | 0o200 == mode) else mode


def _delete(path: Path, name: str) -> str:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return f"{name} was deleted remotely and could not be deleted here ({error.strerror})."
    return ""


def _word(path: str) -> str:
    return path if path and not set(path) & set(" '\"\\\n\t") else repr(path)
