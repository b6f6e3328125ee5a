"""The log of an engine's build: that of the last time something was built, not of the last look."""

from __future__ import annotations

from pathlib import Path

from remote_runtime.images.engine import THERE
from remote_runtime.images.uv import Progress


class BuildLog:
    """Writes the lines of one build to its file, and passes them on."""

    def __init__(self, file: Path, progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self._waiting: list[str] | None = []  # until a line says that something is built

    def line(self, text: str) -> None:
        """Take one line; those of steps that were there already make no new log of their own."""
        self._progress(text)
        if self._waiting is None:
            self._write([text], "a")
            return
        self._waiting.append(text)
        if not text.endswith(THERE):
            self._write(self._waiting, "w")
            self._waiting = None

    def _write(self, lines: list[str], mode: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open(mode, encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
