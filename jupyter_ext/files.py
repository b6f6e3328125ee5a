"""Local files that a cell names or touches, and files that come home: inside the notebook's folder only.

Files that are likely to hold credentials never travel, in either direction.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Final

from kernel_bridge.codecs.hashing import digest
from kernel_bridge.protocol.cells import FileRef
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import Buffer

_SECRET_FILES: Final = (
    *(".env", ".env.*", "*.env", ".netrc", "_netrc", ".pypirc", ".npmrc", ".pgpass", ".htpasswd", ".git-credentials"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*", ".credentials*"),
    *(
        "client_secret*.json",
        "service_account*.json",
        "service-account*.json",
        "secrets.*",
        ".dockercfg",
        ".vault-token",
    ),
)
_SECRET_FOLDERS: Final = frozenset(
    {".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".gcloud", ".oci", ".password-store"}
)
_MAP_FROM_BYTES: Final = 64 << 20  # larger files are mapped, not read


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file below the folder, as it is now."""

    path: str  # relative, with forward slashes
    size_bytes: int
    digest: str


class LocalFiles:
    """Finds, hashes and writes files below one folder; hashes are remembered by (mtime, size, inode)."""

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
        path = self._inside(text)
        if path is None:
            return None, f"{text} is not below the notebook's folder"
        relative = path.relative_to(self.folder).as_posix()
        try:
            status = path.stat()
        except OSError:
            return None, f"{text} does not exist in the notebook's folder"
        why = _why_not(relative, status)
        return (None, why) if why else (LocalFile(relative, status.st_size, self._digest(path, status)), "")

    def read(self, file: LocalFile) -> Buffer:
        """Return the bytes of a file; raises OSError."""
        path = self.folder / file.path
        if file.size_bytes < _MAP_FROM_BYTES:
            return path.read_bytes()
        with path.open("rb") as opened:
            return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))

    def bring_home(self, ref: FileRef, data: Buffer | None, base: str) -> tuple[str, str]:
        """Write or delete one file as the cell left it; return where it lies now and a line to show, each may be empty.

        `base` is the digest of the content the container started from, empty when it knew of none: a local file that is
        something else by now is kept, and the remote one lands beside it.
        """
        path = self._inside(ref.path)
        if path is None or looks_secret(ref.path):
            return "", f"{ref.path} stayed remote: it is not a file this notebook may receive."
        unchanged = self._current(path) in {base, ref.digest}
        if ref.deleted:
            return "", _delete(
                path, ref.path
            ) if unchanged else f"{ref.path} was deleted remotely but changed here: kept."
        if data is None:
            return "", f"{ref.path} ({ref.size_bytes} bytes) stayed remote: `%gpu_get {ref.path}` brings it here."
        target = path if unchanged else path.with_name(f"{path.stem}__remote{path.suffix}")
        try:
            _write(target, data)
        except OSError as error:
            return (
                "",
                f"{ref.path} could not be written here ({error.strerror or error}): `%gpu_get {ref.path}` tries again.",
            )
        name = target.relative_to(self.folder).as_posix()
        return name, "" if unchanged else f"{ref.path} changed here too: the remote one is {name}."

    def _inside(self, text: str) -> Path | None:
        """Return the real path if it is below the folder; links that lead out of it do not count."""
        if not text or "\0" in text or "://" in text:
            return None
        try:
            path = Path(os.path.realpath(self.folder / PurePosixPath(text).as_posix()))
        except (OSError, ValueError):
            return None
        return path if path != self.folder and path.is_relative_to(self.folder) else None

    def _current(self, path: Path) -> str:
        try:
            return self._digest(path, path.stat())
        except OSError:
            return ""

    def _digest(self, path: Path, status: os.stat_result) -> str:
        key = (str(path), status.st_mtime_ns, status.st_size, status.st_ino)
        if key not in self._hashes:
            file = LocalFile(path.relative_to(self.folder).as_posix(), status.st_size, "")
            self._hashes[key] = digest(memoryview(self.read(file)))
        return self._hashes[key]


def looks_secret(path: str) -> bool:
    """Tell whether a file's name or folder says that it holds credentials."""
    parts = [part.lower() for part in PurePosixPath(path).parts]
    name = parts[-1] if parts else ""
    return any(fnmatch(name, pattern) for pattern in _SECRET_FILES) or not _SECRET_FOLDERS.isdisjoint(parts[:-1])


def _why_not(relative: str, status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return f"{relative} is not a regular file"
    if looks_secret(relative):
        return f"{relative} may hold credentials: use `--secret NAME`"
    if status.st_size > DEFAULTS.file_limit_bytes:
        return f"{relative} is larger than {DEFAULTS.file_limit_bytes >> 30} GB: put it into a volume"
    return ""


def _delete(path: Path, name: str) -> str:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return f"{name} was deleted remotely and could not be deleted here ({error.strerror})."
    return ""


def _write(path: Path, data: Buffer) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as opened:
            opened.write(data)
        with contextlib.suppress(OSError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
