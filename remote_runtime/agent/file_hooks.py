"""What a cell does with paths, seen before it happens: an audit hook, and `os.stat` where it finds nothing.

Nothing is asked and nothing computed for a path that is there, or that lies outside the directory.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from remote_runtime.agent.notebook_folder import NotebookFolder

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_REMOVING: Final = ("os.remove", "os.rmdir")
_CHANGING: Final = ("os.utime", "os.chmod", "os.chown", "os.truncate")
_LISTING: Final = ("os.listdir", "os.scandir")
_PROGRAMS: Final = ("os.forkpty", "os.system", "os.posix_spawn", "subprocess.Popen")
_READERS: Final = ("sqlite3.connect", "ctypes.dlopen")  # in C, told by Python
_DEEPEST: Final = 64  # folders below one another; what lies deeper is not looked for in the notebook's folder
_MOST_LINKS: Final = 4
_SMALL_BYTES: Final = 256 << 10  # comes whole where only its name was asked for

Bring = Callable[[str], None]


class FileHooks:
    """Lets a cell see the notebook's folder."""

    def __init__(self, view: NotebookFolder, bring: Bring, runs: Callable[[], bool]) -> None:
        self._view = view
        self._bring = bring  # the content of a file, now
        self._runs = runs  # whether a cell runs: then the notebook can be asked
        self._root = os.path.realpath(view.root)
        self._here = threading.local()
        self._actions: dict[str, Callable[[tuple[Any, ...]], object]] = {
            "open": self._opened,
            "os.chdir": lambda arguments: self._named(arguments[0]),
            "os.mkdir": lambda arguments: self._named(_from(arguments[0], arguments[2])),
            **dict.fromkeys(_REMOVING, lambda arguments: self._removed(_from(*arguments))),
            "os.rename": self._renamed,
            "os.link": self._two,
            **dict.fromkeys(_LISTING, self._listed),
            **dict.fromkeys(_PROGRAMS, self._program),
            **dict.fromkeys((*_CHANGING, *_READERS), lambda arguments: self._read(arguments[0])),
        }

    def install(self) -> None:
        """Install them; they stay for the life of the process."""
        sys.addaudithook(self._audit)
        for name in ("stat", "lstat", "access"):
            _wrap(name, self._missed)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Let what this thread does with files be nobody's business: it is our own."""
        was, self._here.busy = getattr(self._here, "busy", False), True
        try:
            yield
        finally:
            self._here.busy = was

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        action = self._actions.get(event)
        if action is None or getattr(self._here, "busy", False) or not self._runs():
            return
        with self.aside():
            action(arguments)

    def _missed(self, path: Any) -> bool:
        """Make a path appear that was not found; tell whether it is worth to look again."""
        if getattr(self._here, "busy", False) or not self._runs():
            return False
        with self.aside():
            relative = self._named(path)
            return relative is not None and os.path.lexists(f"{self._root}/{relative}")

    def _opened(self, arguments: tuple[Any, ...]) -> None:
        path, _mode, flags = arguments
        relative = self._relative(path) if isinstance(path, (str, bytes, os.PathLike)) else None
        if not relative:
            return
        flags = flags if isinstance(flags, int) else 0
        waits = relative in self._view.placeholders
        if flags & os.O_TRUNC and waits:
            self._replace(relative)
        elif flags & os.O_EXCL:
            self._named(path)
        elif not flags & os.O_TRUNC and (waits or not os.path.lexists(f"{self._root}/{relative}")):
            self._have(relative)

    def _read(self, path: object) -> None:
        relative = self._relative(path) if isinstance(path, (str, bytes, os.PathLike)) else None
        if relative and (relative in self._view.placeholders or not os.path.lexists(f"{self._root}/{relative}")):
            self._have(relative, comes_by_itself=False)  # nothing may open it: `chmod` does not

    def _have(self, relative: str, *, comes_by_itself: bool = True) -> None:
        """Have the content of a file here, if the notebook has one, before it is opened."""
        waiting = self._view.placeholders
        if comes_by_itself and waiting.comes_in_time(relative) and waiting.wait_for(relative):
            return
        relative = self._through_links(relative)
        entry = self._view.find(relative)
        if entry is None or entry.kind != "file":
            self._appear(relative)
        elif not entry.why:
            self._bring(relative)
        else:
            self._view.check_travels(relative)

    def _replace(self, relative: str) -> None:
        """Put an empty file where a placeholder is: what it stands for is about to be overwritten."""
        entry = self._view.placeholders.entry(relative)
        self._view.placeholders.forget([relative])
        with contextlib.suppress(OSError):
            mode = (entry.mode if entry is not None else 0) or 0o644
            os.close(os.open(self._view.root / relative, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))

    def _two(self, arguments: tuple[Any, ...]) -> None:
        self._named(_from(arguments[0], arguments[2]))
        self._named(_from(arguments[1], arguments[3]))

    def _renamed(self, arguments: tuple[Any, ...]) -> None:
        self._removed(_from(arguments[0], arguments[2]))
        self._named(_from(arguments[1], arguments[3]))

    def _removed(self, path: Any) -> None:
        """Let a path be there to be removed, and not appear again afterwards."""
        relative = self._named(path)
        if relative:
            self._view.removed.add(relative)

    def _listed(self, arguments: tuple[Any, ...]) -> None:
        path = arguments[0] if arguments and arguments[0] is not None else "."
        if _is_import_system():
            return
        with contextlib.suppress(OSError):  # `shutil.rmtree` lists what it has opened
            path = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path  # noqa: PTH115 - no Path is made
        relative = None if isinstance(path, int) else self._relative(path)
        if relative is not None:
            if relative:
                self._appear(relative)
            self._view.show(relative)

    def _program(self, arguments: tuple[Any, ...]) -> None:
        """Let a program find what it may look for by itself: below the current directory."""
        del arguments
        self._view.programs_ran = True
        relative = self._relative(".")
        if relative is not None:
            self._view.show_tree(relative)

    def _named(self, path: Any) -> str | None:
        """Make a path appear that is not here; return it relative to the directory, None where it lies outside.

        A placeholder of an earlier cell is looked at again: it may have changed since.
        """
        if isinstance(path, int):
            return None
        relative = self._relative(path)
        if not relative:
            return None
        if relative in self._view.placeholders or not os.path.lexists(f"{self._root}/{relative}"):
            self._appear(relative)
        return relative

    def _through_links(self, relative: str) -> str:
        """Make the folders and links appear that a path leads through; return the path without the links."""
        parts = relative.split("/")
        for count in range(1, len(parts)):
            above = "/".join(parts[:count])
            if not os.path.lexists(f"{self._root}/{above}"):
                self._view.look(above)
        real = os.path.realpath(f"{self._root}/{relative}")
        return real[len(self._root) + 1 :] if real.startswith(self._root + os.sep) else relative

    def _appear(self, relative: str) -> None:
        relative = self._through_links(relative)
        for _ in range(_MOST_LINKS):
            entry = self._view.find(relative)
            if entry is None:
                return
            is_here = os.path.lexists(f"{self._root}/{relative}")
            if entry.kind == "file" and not entry.why and entry.size_bytes <= _SMALL_BYTES and not is_here:
                self._bring(relative)
                return
            self._view.look(relative)
            if entry.kind == "file" and not entry.why and not os.path.lexists(f"{self._root}/{relative}"):
                self._bring(relative)  # in a process that the cell forked, and where no placeholder can be made
                return
            target = os.path.realpath(f"{self._root}/{relative}")
            if target == f"{self._root}/{relative}" or not target.startswith(self._root + os.sep):
                return
            relative = target[len(self._root) + 1 :]

    def _relative(self, path: Any) -> str | None:
        try:
            text = os.fsdecode(path)
            if not text or text.startswith("<") or "\0" in text:
                return None
            if ".." in text:
                self._pass_through(text)
            folder, name = os.path.split(
                os.path.normpath(text if text[0] == os.sep else f"{_current_directory()}/{text}")
            )
            root = self._root
            if not (folder + os.sep).startswith(root + os.sep) and f"{folder}{os.sep}{name}" != root:
                return None
            if folder.count(os.sep) - root.count(os.sep) > _DEEPEST:
                return None
            full = os.path.realpath(f"{folder}/{name}")
        except (OSError, TypeError, ValueError):
            return None
        if full == root:
            return ""
        return full[len(root) + 1 :] if full.startswith(root + os.sep) else None

    def _pass_through(self, text: str) -> None:
        """Make the folders appear that a path goes through and out of again."""
        before = ""
        for part in text.split("/"):
            if part == ".." and before.strip("./"):
                self._named(before.rstrip("/"))
            before += f"{part}/"


def _current_directory() -> str:
    """Return it; raises OSError for one whose path is too long, where `getcwd` would climb up to the root."""
    try:
        return os.readlink("/proc/self/cwd")  # noqa: PTH115 - no Path is made
    except FileNotFoundError:
        return os.getcwd()  # noqa: PTH109 - the same


def _wrap(name: str, missed: Callable[[Any], bool]) -> None:
    """Put a function in front of `os.NAME` that looks once more when nothing was found and a path has appeared."""
    real = getattr(os, name)

    @functools.wraps(real)
    def looks_again(path: Any, *arguments: Any, **options: Any) -> Any:
        try:
            found = real(path, *arguments, **options)
        except FileNotFoundError:
            if options.get("dir_fd") is None and missed(path):
                return real(path, *arguments, **options)
            raise
        if found is False and options.get("dir_fd") is None and missed(path):  # `access` raises nothing
            return real(path, *arguments, **options)
        return found

    setattr(os, name, looks_again)
    for able in (os.supports_dir_fd, os.supports_effective_ids, os.supports_fd, os.supports_follow_symlinks):
        if real in able:
            able.add(looks_again)


def _from(path: Any, folder: int) -> Any:
    """Return a path that may be relative to an open folder: `shutil.rmtree` removes what is in it that way."""
    if folder < 0 or not isinstance(path, (str, bytes, os.PathLike)):
        return path
    try:
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))  # noqa: PTH115, PTH118 - no Path is made
    except OSError:
        return path


def _is_import_system() -> bool:
    """Tell whether the import system looks for a module: local ones come another way."""
    frame = sys._getframe(3)
    return "importlib" in frame.f_code.co_filename
