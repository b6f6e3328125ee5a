"""Local files that a cell names, lists or opens: inside the notebook's folder only.

Files that are likely to hold credentials never travel, in either direction.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from kernel_bridge.codecs.hashing import digest
from kernel_bridge.protocol.cells import UNLISTED_FOLDERS, FileEntry, FileRef, FolderList
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import Buffer

_SECRET_FILES: Final = (
    *(".env", ".env.*", "*.env", ".netrc", "_netrc", ".pypirc", ".npmrc", ".pgpass", ".htpasswd", ".git-credentials"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*", ".credentials*"),
    *("client_secret*.json", "service_account*.json", "service-account*.json", "secrets.*"),
    *(".dockercfg", ".vault-token"),
)
_SECRET_NAME: Final = re.compile("|".join(map(translate, _SECRET_FILES)))
_SECRET_FOLDERS: Final = frozenset(
    {".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".gcloud", ".oci", ".password-store"}
)
_MAP_FROM_BYTES: Final = 64 << 20  # larger files are mapped, not read
_MOST_ENTRIES: Final = 2000  # of a folder in which one name is looked for, and of a tree
_MOST_LISTED: Final = 200_000  # of a folder that the cell lists


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file below the folder, as it is now."""

    path: str  # relative, with forward slashes
    size_bytes: int
    digest: str
    mode: int = 0
    mtime_ns: int = 0

    @property
    def ref(self) -> FileRef:
        """Return how it is told of, without its data."""
        return FileRef(
            path=self.path, size_bytes=self.size_bytes, digest=self.digest, mode=self.mode, mtime_ns=self.mtime_ns
        )


class LocalFiles:
    """Finds, lists and hashes files below one folder; hashes are remembered by (mtime, size, inode)."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self._hashes: dict[tuple[str, int, int, int], str] = {}

    def named(self, texts: Iterable[str]) -> list[LocalFile]:
        """Return the files that these strings name, each once; what may not travel is left out."""
        found = {}
        for text in texts:
            file, _ = self.find(text)
            if file is not None:
                found[file.path] = file
        return list(found.values())

    def find(self, text: str) -> tuple[LocalFile | None, str]:
        """Return the file a path names, or None and why it cannot travel."""
        path = self.inside(os.path.expanduser(text) if text.startswith("~/") else text)  # noqa: PTH111 - a text
        if path is None:
            return None, f"{text} is not below the notebook's folder: copy it there, or use `--volume`"
        relative = path.relative_to(self.folder).as_posix()
        try:
            status = path.stat()
        except OSError:
            return None, f"{text} does not exist in the notebook's folder"
        why = "" if stat.S_ISREG(status.st_mode) else f"{relative} is not a regular file"
        why = why or why_not(relative, status.st_size)
        return (None, why) if why else (self._described(relative, path, status), "")

    def read(self, file: LocalFile) -> Buffer:
        """Return the bytes of a file; raises OSError."""
        path = self.folder / file.path
        if file.size_bytes < _MAP_FROM_BYTES:
            return path.read_bytes()
        with path.open("rb") as opened:
            return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))

    def folder_of(self, text: str) -> str | None:
        """Return the folder a text names, relative; None when it names none."""
        path = self.folder if text in {"", "."} else self.inside(text, itself=True)
        return (
            path.relative_to(self.folder).as_posix().removeprefix(".") if path is not None and path.is_dir() else None
        )

    def list_folder(self, path: str, name: str = "") -> FolderList:
        """Return what a folder holds; where that is very much and a name is given, only this one."""
        folder = self.folder if not path else self.inside(path)
        if folder is None or not folder.is_dir() or not UNLISTED_FOLDERS.isdisjoint(PurePosixPath(path).parts):
            return FolderList(path=path, exists=folder is not None and folder.is_dir())
        most = _MOST_ENTRIES if name else _MOST_LISTED
        try:
            with os.scandir(folder) as found:
                names = [entry.name for entry in islice(found, most + 1)]
        except OSError:
            return FolderList(path=path, exists=False)
        whole = len(names) <= most
        names = names if whole or not name else [name]
        return FolderList(path=path, whole=whole, entries=tuple(self._entries(folder, path, sorted(names))))

    def list_tree(self, path: str) -> list[FolderList]:
        """Return a folder and those below it, nearest first, until that are many names."""
        found, pending, count = [], [path], 0
        while pending and count <= _MOST_ENTRIES:
            listed = self.list_folder(pending.pop(0), "\0")
            if listed.whole:
                found.append(listed)
                count += len(listed.entries)
                prefix = f"{listed.path}/" if listed.path else ""
                pending += [prefix + entry.name for entry in listed.entries if entry.kind == "folder"]
        return found

    def inside(self, text: str, *, itself: bool = False) -> Path | None:
        """Return the real path if it is below the folder; links that lead out of it do not count."""
        if not text or "\0" in text or "://" in text:
            return None
        try:
            path = Path(os.path.realpath(self.folder / PurePosixPath(text).as_posix()))
        except (OSError, ValueError):
            return None
        return path if path.is_relative_to(self.folder) and (itself or path != self.folder) else None

    def current_digest(self, path: Path) -> str:
        """Return the digest of a file as it is now; empty for one that is not there."""
        try:
            status = path.stat()
            return self._digest(path, status) if stat.S_ISREG(status.st_mode) else ""
        except OSError:
            return ""

    def _described(self, relative: str, path: Path, status: os.stat_result) -> LocalFile:
        mode = stat.S_IMODE(status.st_mode)
        return LocalFile(relative, status.st_size, self._digest(path, status), mode, status.st_mtime_ns)

    def _digest(self, path: Path, status: os.stat_result) -> str:
        key = (str(path), status.st_mtime_ns, status.st_size, status.st_ino)
        if key not in self._hashes:
            file = LocalFile(path.relative_to(self.folder).as_posix(), status.st_size, "")
            self._hashes[key] = digest(memoryview(self.read(file)))
        return self._hashes[key]

    def _entries(self, folder: Path, path: str, names: Iterable[str]) -> Iterator[FileEntry]:
        prefix = f"{path}/" if path else ""
        for name in names:
            try:
                status = os.lstat(f"{folder}/{name}")
                name.encode()  # a name that is no text cannot be told
            except (OSError, UnicodeEncodeError):
                continue
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISREG(status.st_mode):
                why = why_not(prefix + name, status.st_size)
                yield FileEntry(name, "file", status.st_size, status.st_mtime_ns, mode, "", why)
            elif stat.S_ISDIR(status.st_mode):
                yield FileEntry(name, "folder", mode=mode)
            elif stat.S_ISLNK(status.st_mode):
                yield FileEntry(name, "link", target=self._target(folder, name))

    def _target(self, folder: Path, name: str) -> str:
        """Return where a link leads, relative if that is in here."""
        real = os.path.realpath(f"{folder}/{name}")
        if Path(real).is_relative_to(self.folder):
            return os.path.relpath(real, folder)
        return str((folder / name).readlink())


def looks_secret(path: str) -> bool:
    """Tell whether a file's name or folder says that it holds credentials."""
    *folders, name = path.lower().rstrip("/").split("/")  # no Path is made: asked for every name in a folder
    return _SECRET_NAME.match(name) is not None or not _SECRET_FOLDERS.isdisjoint(folders)


def why_not(relative: str, size_bytes: int) -> str:
    """Say why a file does not travel; empty when it does."""
    if looks_secret(relative):
        return f"{relative} stays on your machine, as it may hold credentials: use `--secret NAME`"
    if size_bytes > DEFAULTS.file_limit_bytes:
        return f"{relative} is larger than {DEFAULTS.file_limit_bytes >> 30} GB: put it into a volume (`--volume`)"
    return ""
