"""The notebook's folder as a cell sees it: what is in it appears here when a cell looks, and comes when it reads."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from kernel_bridge.protocol.cells import FileEntry, FolderList
from remote_runtime.agent.placeholders import Placeholders

Ask = Callable[[str, str, bool], tuple[FolderList, ...]]  # folder, name in it, with what is below


class NotebookFolder:
    """Makes names appear below one directory. Every folder is asked for once a cell."""

    def __init__(self, root: Path, placeholders: Placeholders, ask: Ask) -> None:
        self.root = root
        self.placeholders = placeholders
        self._ask = ask
        self._lists: dict[str, dict[str, FileEntry]] = {}  # by folder, what the notebook said it holds
        self._whole: set[str] = set()  # folders whose lists are complete
        self._absent: set[str] = set()  # folders the notebook does not have
        self._listed: set[str] = set()  # folders that were asked for as a whole: the notebook tells of their changes
        self._shown: set[str] = set()  # folders that hold all those names
        self._trees: set[str] = set()
        self.folders: set[str] = set()  # made here because the notebook has them
        self.links: dict[str, str] = {}
        self.removed: set[str] = set()  # by this cell, or moved: the notebook still has them
        self.programs_ran = False  # in this cell: they can change what a placeholder is without opening it

    def begin(self, changed: Iterable[FolderList]) -> None:
        """Forget what was asked for an earlier cell; bring folders up to date that were shown and changed."""
        self.programs_ran = False
        self.removed.clear()
        self._lists.clear()
        self._whole.clear()
        self._absent.clear()
        self._listed.clear()
        self._shown.clear()
        self._trees.clear()
        for folder in changed:
            self._learn(folder)
            if folder.whole:
                self._listed.add(folder.path)
                self.show(folder.path)
            else:
                self._appear(folder.path, self._lists[folder.path].values())

    def find(self, path: str) -> FileEntry | None:
        """Return what the notebook has under a name; nothing of what the cell removed."""
        if path in self.removed:
            return None
        folder, _, name = path.rpartition("/")
        return self._list(folder, name).get(name)

    def look(self, path: str) -> FileEntry | None:
        """Make one name appear if the notebook has it."""
        entry = self.find(path)
        if entry is not None:
            self._appear(path.rpartition("/")[0], [entry])
        return entry

    def show(self, folder: str) -> None:
        """Make everything in a folder appear, and go what the notebook has no more."""
        if folder in self._shown:
            return
        entries = self._list(folder, "")
        if folder not in self._whole and not entries:
            return
        self._shown.add(folder)
        self._appear(folder, entries.values())
        if folder in self._whole:
            below = self.placeholders.below(folder)
            self.placeholders.forget([path for path in below if path.rpartition("/")[2] not in entries])

    def show_tree(self, folder: str) -> None:
        """Make everything below a folder appear, as far as it is worth to list: a program may look for itself."""
        if folder in self._trees:
            return
        self._trees.add(folder)
        for found in self._ask(folder, "", True):
            self._learn(found)
            self._listed.add(found.path)
            self.show(found.path)

    def check_travels(self, path: str) -> None:
        """Raise PermissionError for a file whose content does not travel."""
        entry = self.placeholders.entry(path) or self.find(path)
        if entry is not None and entry.why:
            raise PermissionError(errno.EACCES, entry.why)

    def _list(self, folder: str, name: str) -> dict[str, FileEntry]:
        known = self._lists.get(folder)
        known_well = folder in self._whole or (known is not None and name in known)
        if (not known_well or (not name and folder not in self._listed)) and not self._is_known_absent(folder):
            self._listed |= {folder} if not name else set()
            for found in self._ask(folder, name, False):
                self._learn(found)
        return self._lists.setdefault(folder, {})

    def _learn(self, found: FolderList) -> None:
        entries = [FileEntry(*entry) for entry in found.entries]
        self._lists.setdefault(found.path, {}).update({entry.name: entry for entry in entries if _is_name(entry.name)})
        if found.whole:
            self._whole.add(found.path)
        if not found.exists:
            self._absent.add(found.path)

    def _is_known_absent(self, folder: str) -> bool:
        """Tell whether the notebook has no such folder, by what it said of it or of one above it."""
        while folder:
            above, _, name = folder.rpartition("/")
            if folder in self._absent or (above in self._whole and name not in self._lists[above]):
                return True
            folder = above
        return False

    def _appear(self, folder: str, entries: Iterable[FileEntry]) -> None:
        prefix, wanted, entries = f"{folder}/" if folder else "", {}, list(entries)
        if folder and entries:
            self._make_folder(folder)
        for entry in entries:
            path = prefix + entry.name
            shown = self.placeholders.entry(path)
            if path in self.removed or shown == entry or (shown is None and os.path.lexists(self.root / path)):
                continue
            if entry.kind == "folder":
                self._make_folder(path, entry.mode)
            elif entry.kind == "link":
                self._make_link(path, entry.target)
            else:
                wanted[path] = entry
        self.placeholders.make(wanted)

    def _make_folder(self, path: str, mode: int = 0o755) -> None:
        parent = path.rpartition("/")[0]
        if parent and not (self.root / parent).is_dir():
            self._make_folder(parent)
        with contextlib.suppress(OSError):
            (self.root / path).mkdir(mode | 0o700)
            self.folders.add(path)

    def _make_link(self, path: str, target: str) -> None:
        with contextlib.suppress(OSError):
            (self.root / path).symlink_to(target)
            self.links[path] = target


def _is_name(text: str) -> bool:
    return bool(text) and "/" not in text and "\0" not in text and text not in {".", ".."}
