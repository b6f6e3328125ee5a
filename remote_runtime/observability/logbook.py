"""What all processes said about one session, read from the ends of their logs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kernel_bridge.logs import parse
from kernel_bridge.protocol.logs import LINES_LIMIT, LogLine, is_at_least

READ_BYTES: Final = 4 << 20  # of the end of each file

Strike = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which lines are wanted: those of a session, or of one cell of it; the newest of them."""

    session_id: str
    cell_id: str = ""
    level: str = "debug"  # and worse
    lines: int = 200


class Logbook:
    """The control plane's own log, those of its containers' parents, and those of a session's containers."""

    def __init__(self, own: Path, zygotes: Path) -> None:
        self._own = own
        self._zygotes = zygotes

    def read(self, asked: Question, containers: Path, strike: Strike) -> list[LogLine]:
        """Return the lines in the order of their time. `containers` holds a folder for each container's log.

        `strike` takes out of a line's text what must not be shown. Blocks for as long as the disk takes.
        """
        found = {path.parent.name: path for path in sorted(containers.glob("*/agent.log"))}
        lines = [line for line in self._shared() if line.session_id == asked.session_id or line.container_id in found]
        for container_id, path in found.items():
            lines += [
                replace(line, session_id=asked.session_id, container_id=container_id)
                for line in _lines(path, "container")
            ]
        chosen = [line for line in lines if _is_wanted(line, asked)]
        chosen.sort(key=lambda line: line.at_s)
        return [_struck(line, strike) for line in chosen[-max(0, min(asked.lines, LINES_LIMIT)) :]]

    def _shared(self) -> Iterator[LogLine]:
        yield from _lines(self._own, "control plane")
        for path in sorted(self._zygotes.glob("*.log")):
            yield from _lines(path, "zygote")


def _is_wanted(line: LogLine, asked: Question) -> bool:
    return asked.cell_id in ("", line.cell_id) and is_at_least(line.level, asked.level)


def _lines(path: Path, process: str) -> Iterator[LogLine]:
    at_s = 0.0
    for text in _end(path).splitlines():
        line = parse(text, process, at_s)
        at_s = line.at_s
        yield line


def _end(path: Path) -> str:
    """Return the end of a file, from a line's beginning on. A link is not followed: it could lead anywhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return ""
        file.seek(max(0, found.st_size - READ_BYTES))
        data = file.read(READ_BYTES)
    if found.st_size > READ_BYTES:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")


def _struck(line: LogLine, strike: Strike) -> LogLine:
    fields = {name: strike(value) if isinstance(value, str) else value for name, value in line.fields.items()}
    return replace(line, message=strike(line.message), exception=strike(line.exception), fields=fields)
