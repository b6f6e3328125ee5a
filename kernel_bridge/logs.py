"""Structured logs with the standard library: JSON lines, and ids that follow a cell through every process.

A record's ids are those its writer names (`extra={"cell_id": ...}`), else those bound in its context. `extra={"fields":
{...}}` adds values by name. Nothing here touches the root logger: a notebook's and a container's are the user's.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from kernel_bridge.protocol.logs import LogLine
from kernel_bridge.protocol.wire import from_wire, to_wire

IDS: Final = ("cell_id", "session_id", "container_id", "request_id")
MESSAGE_LIMIT: Final = 8 << 10  # characters; a longer message is cut
_JSON: Final = json.JSONEncoder(default=str, ensure_ascii=False)
_TOKEN: Final = re.compile(r"\bcb_[A-Za-z0-9_-]{8,}")
_BOUND: ContextVar[Mapping[str, str]] = ContextVar("cellburst_log_ids", default={})  # noqa: B039 - never written to

Strike = Callable[[str], str]


@contextmanager
def bound(**ids: str) -> Iterator[None]:
    """Have every line that is written in this context carry these ids, besides those bound around it."""
    before = _BOUND.set({**_BOUND.get(), **ids})
    try:
        yield
    finally:
        _BOUND.reset(before)


def bind(**ids: str) -> None:
    """Have every line that is written in this context from here on carry these ids."""
    _BOUND.set({**_BOUND.get(), **ids})


def bound_id(name: str) -> str:
    """Return an id that is bound here, empty when none is."""
    return _BOUND.get().get(name, "")


def strike_tokens(text: str) -> str:
    """Strike out whatever looks like one of our tokens."""
    return _TOKEN.sub("cb_***", text) if "cb_" in text else text


def entry(record: logging.LogRecord, process: str) -> dict[str, Any]:
    """Return a record as the JSON object of its line; what is empty is left out."""
    context = _BOUND.get()
    said: dict[str, Any] = {
        "at_s": round(record.created, 6),
        "level": "error" if record.levelno > logging.ERROR else record.levelname.lower(),
        "process": process,
        "pid": record.process,
        "logger": record.name,
        "message": record.getMessage()[:MESSAGE_LIMIT],
    }
    for name in IDS:
        if value := getattr(record, name, "") or context.get(name, ""):
            said[name] = value
    if fields := getattr(record, "fields", None):
        said["fields"] = fields
    if record.exc_info:
        said["exception"] = logging.Formatter().formatException(record.exc_info)[-MESSAGE_LIMIT:]
    return said


def line_of(line: LogLine) -> str:
    """Write a line as its JSON; what is empty is left out."""
    return _JSON.encode({name: value for name, value in to_wire(line).items() if value or name == "at_s"})


class JsonLines(logging.Formatter):
    """One JSON object a line. `strike` takes out of the text what must not be in it."""

    def __init__(self, process: str, strike: Strike = strike_tokens) -> None:
        super().__init__()
        self._process = process
        self._strike = strike

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        return self._strike(_JSON.encode(entry(record, self._process)))


class TextLines(logging.Formatter):
    """The same for people."""

    def __init__(self, process: str, strike: Strike = strike_tokens) -> None:
        super().__init__()
        self._process = process
        self._strike = strike

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        return self._strike(text_of(from_wire(LogLine, entry(record, self._process))))


class BoundedFile(logging.Handler):
    """Writes to an open descriptor and keeps the file below a size, by dropping its older half.

    A container's log cannot be rotated by name: its processes see no path to it. The descriptor must be open for
    reading, too, and for appending. Several processes may write to one file.
    """

    def __init__(self, descriptor: int, limit_bytes: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._limit_bytes = limit_bytes
        self._owned = False

    @classmethod
    def open(cls, path: Path, limit_bytes: int) -> BoundedFile:
        """Write to the end of a file that only its owner can read; raises OSError."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), limit_bytes)
        handler._owned = True
        return handler

    def close(self) -> None:
        """Let go of a file that was opened here."""
        if self._owned:
            self._owned = False
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line."""
        self.write(self.format(record))

    def write(self, line: str) -> None:
        """Append a line that is written already. A full disk costs the line, nothing else."""
        with suppress(OSError):
            os.write(self._descriptor, line.encode("utf-8", "replace") + b"\n")  # one write: it stays in one piece
            size_bytes = os.fstat(self._descriptor).st_size
            if size_bytes > self._limit_bytes:
                self._drop_older_half(size_bytes)

    def _drop_older_half(self, size_bytes: int) -> None:
        newer = os.pread(self._descriptor, self._limit_bytes // 2, size_bytes - self._limit_bytes // 2)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, newer.partition(b"\n")[2])


def parse(text: str, process: str, at_s: float = 0.0) -> LogLine:
    """Read one line of a log. What is no line of ours (a traceback, a library's warning) is a warning of that time."""
    if text.startswith("{"):
        with suppress(Exception):  # a line that a crash cut short, or that somebody else wrote
            return from_wire(LogLine, json.loads(text, parse_constant=_no_number))
    return LogLine(at_s=at_s, level="warning", process=process, message=text[:MESSAGE_LIMIT])


def text_of(line: LogLine) -> str:
    """Write a line for people: local time, level, process, what was said, and the values said with it."""
    at = _time_of_day(line.at_s)
    values = "".join(f" {name}={value}" for name, value in line.fields.items())
    head = f"{at} {line.level:<7} {line.process:<13} {line.message}{values}"
    return "\n    ".join([head, *line.exception.splitlines()])


def _time_of_day(at_s: float) -> str:
    try:
        return datetime.fromtimestamp(at_s).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except (OverflowError, ValueError, OSError):  # user code may have written the line
        return "--:--:--.---"


def _no_number(word: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python reads and JSON does not have: nobody could be told them."""
    raise ValueError(f"{word} is not JSON")
