"""What this notebook's end says: JSON lines in a bounded file of its own, one for each process, and read back.

The notebook's root logger is the user's. Only warnings of ours go on to it, as they would without this.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from kernel_bridge.config import ClientConfig
from kernel_bridge.logs import BoundedFile, JsonLines, parse
from kernel_bridge.protocol.logs import LEVELS, LogLine

PROCESS: Final = "notebook"
LIMIT_BYTES: Final = 4 << 20  # of a file
KEPT_S: Final = 7 * 86400.0  # after which the files of kernels that are gone are removed
_LOGGERS: Final = ("kernel_bridge", "jupyter_ext")


class Journal:
    """One process's file. Where it cannot be written, nothing is, and nobody is bothered."""

    def __init__(self, config: ClientConfig) -> None:
        self.folder = config.data_dir / "logs"
        level = config.environment.get("CELLBURST_LOG_LEVEL", "info").lower()
        self._level = level if level in LEVELS else "info"
        self._handlers: list[logging.Handler] = []

    def open(self) -> None:
        """Begin to write."""
        with suppress(OSError):
            _remove_old(self.folder)
            file = BoundedFile.open(self.folder / f"notebook-{os.getpid()}.jsonl", LIMIT_BYTES)
            file.setFormatter(JsonLines(PROCESS))
            self._handlers = [file, _Upwards(logging.WARNING)]
        for name in _LOGGERS if self._handlers else ():
            logger = logging.getLogger(name)
            logger.setLevel(self._level.upper())
            logger.propagate = False
            logger.handlers += self._handlers

    def close(self) -> None:
        """Write no more, and leave the loggers as they were."""
        for name in _LOGGERS if self._handlers else ():
            logger = logging.getLogger(name)
            logger.handlers = [handler for handler in logger.handlers if handler not in self._handlers]
            if not any(isinstance(handler, _Upwards) for handler in logger.handlers):  # another shell's journal
                logger.propagate = True
                logger.setLevel(logging.NOTSET)
        for handler in self._handlers:
            handler.close()
        self._handlers = []


def read(folder: Path, session_id: str) -> list[LogLine]:
    """Return what notebooks of this user on this machine said of a session, in no particular order."""
    return [
        line
        for path in sorted(folder.glob("notebook-*.jsonl"))
        for line in _lines(path)
        if line.session_id == session_id
    ]


def _lines(path: Path) -> Iterator[LogLine]:
    with suppress(OSError):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            yield parse(text, PROCESS)


def _remove_old(folder: Path) -> None:
    oldest_s = time.time() - KEPT_S
    for path in folder.glob("notebook-*.jsonl"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest_s:
                path.unlink()


class _Upwards(logging.Handler):
    """Hands a record on to the root logger, as propagation would."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it on."""
        logging.getLogger().callHandlers(record)
