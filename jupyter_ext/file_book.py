"""What a session's container knows of the notebook's files: which content it has, which names it has shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from jupyter_ext.files import LocalFile, LocalFiles
from jupyter_ext.landing import Seen
from kernel_bridge.protocol.cells import FileRef, FolderList

_Mark = tuple[int, int, int]  # mtime in ns, size, inode
_NO_MARK: Final = (0, -1, 0)


class FileBook:
    """Kept on the notebook's side, one for a session and a folder."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}  # path -> content that both sides knew last
        self._marks: dict[str, _Mark] = {}  # path -> the local file when it had that content
        self._held: set[str] = set()  # what the container surely has
        self._listed: dict[str, tuple[int, int]] = {}  # path -> mtime and size the container was told
        self._shown: dict[str, _Mark] = {}  # folder -> when its names were told
        self.sent_ns = 0  # when the running cell was sent

    @property
    def seen(self) -> Seen:
        """Return what decides whether a local file was touched meanwhile."""
        return Seen(self.digests, self._listed, self.sent_ns)

    def holds(self, file: LocalFile) -> bool:
        """Tell whether the container has this content."""
        return file.path in self._held and self.digests.get(file.path) == file.digest

    def sent(self, files: LocalFiles, path: str, digest: str) -> None:
        """Note that both sides have this content now."""
        self.digests[path] = digest
        self._marks[path] = _mark(files.folder / path)
        self._held.add(path)

    def kept_both(self, path: str, digest: str) -> None:
        """Note that the container has this content, and the notebook another, which is the truth from now on."""
        self.digests[path] = digest
        self._marks[path] = _NO_MARK

    def gone(self, path: str) -> None:
        """Note that a file is nowhere any more."""
        for book in (self.digests, self._marks, self._listed):
            book.pop(path, None)
        self._held.discard(path)

    def told(self, files: LocalFiles, folder: FolderList, *, shown: bool) -> None:
        """Note what the container was told of a folder, and whether it shows all of that."""
        prefix = f"{folder.path}/" if folder.path else ""
        self._listed |= {prefix + name: (mtime_ns, size) for name, _, size, mtime_ns, *_ in folder.entries}
        if shown and folder.exists and folder.whole:
            self._shown[folder.path] = _mark(files.folder / folder.path)

    def out_of_date(self, files: LocalFiles) -> list[FileRef]:
        """Return what the container has and what changed here since, or went; it will be asked for anew."""
        old = []
        for path, mark in list(self._marks.items()):
            now = _mark(files.folder / path)
            if now == mark:
                continue
            digest = self.digests[path]
            if mark is not _NO_MARK and now != _NO_MARK and files.current_digest(files.folder / path) == digest:
                self._marks[path] = now  # touched, and the same
                continue
            old.append(FileRef(path=path, size_bytes=0, digest=digest, deleted=now == _NO_MARK))
            self.gone(path)
        return old

    def changed_folders(self, files: LocalFiles) -> list[FolderList]:
        """Return the folders whose names the container has shown and that hold others now."""
        changed = []
        for folder, mark in list(self._shown.items()):
            if _mark(files.folder / folder) != mark:
                del self._shown[folder]
                listed = files.list_folder(folder)
                changed.append(listed)
                self.told(files, listed, shown=True)
        return changed

    def all_gone(self) -> list[FileRef]:
        """Forget everything, and return what the container has of it: the notebook works in another folder."""
        old = [FileRef(path=path, size_bytes=0, digest=digest) for path, digest in self.digests.items()]
        for path in list(self.digests):
            self.gone(path)
        self._listed.clear()
        self._shown.clear()
        return old

    def is_shown(self, folder: str) -> bool:
        """Tell whether the container has all names of a folder."""
        return folder in self._shown

    def forget(self) -> None:
        """Note that another container may be there: what it holds is not sure. What it started from still is."""
        self._held.clear()
        self._shown.clear()


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every file before every cell
    except OSError:
        return _NO_MARK
    return status.st_mtime_ns, status.st_size, status.st_ino
