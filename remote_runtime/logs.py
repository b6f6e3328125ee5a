"""The control plane's log: JSON lines in a file of its own, and on standard error in the form the operator chose."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Final

from kernel_bridge.logs import BoundedFile, JsonLines, TextLines
from remote_runtime.secrets.known import PASSED_THROUGH
from remote_runtime.settings import Settings

PROCESS: Final = "control plane"
LIMIT_BYTES: Final = 16 << 20  # of the file


def log_file(data_dir: Path) -> Path:
    """Return where the control plane writes."""
    return data_dir / "logs" / "runtime.jsonl"


def set_up(settings: Settings) -> None:
    """Send the log of everything in this process to its file and, but for an embedded runtime, to standard error.

    A file that cannot be written is said on standard error and costs nothing else.
    """
    spoken = logging.StreamHandler()
    spoken.setFormatter(_formatter(settings.log_format))
    if settings.embedded:  # its standard error goes to a file that nobody rotates
        spoken.setLevel(logging.ERROR)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[spoken], force=True)
    # Every connection and request of the library would be most of it; ours say what matters.
    for name in ("uvicorn.access", "uvicorn.error", "websockets"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    try:
        logging.getLogger().addHandler(_file(log_file(settings.data_dir)))
    except OSError as error:
        logging.getLogger(__name__).warning("the log has no file: %s", error)


def _file(path: Path) -> logging.Handler:
    handler = BoundedFile.open(path, LIMIT_BYTES)
    handler.setFormatter(JsonLines(PROCESS, PASSED_THROUGH.strike))
    return handler


def _formatter(wanted: str) -> logging.Formatter:
    text = sys.stderr.isatty() if wanted == "auto" else wanted == "text"
    return (TextLines if text else JsonLines)(PROCESS, PASSED_THROUGH.strike)
