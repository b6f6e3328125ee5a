"""One line of a log, as every process of ours writes it and the control plane hands it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

LINES_LIMIT: Final = 5000  # that can be asked for at once
LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What one process said at one moment. An id that is empty was not known to whoever wrote the line."""

    at_s: float  # epoch seconds of the clock of the machine that wrote it
    level: str = "info"  # one of LEVELS
    process: str = ""  # notebook, control plane, zygote, supervisor, agent or child
    pid: int = 0
    logger: str = ""
    message: str = ""
    cell_id: str = ""  # the msg_id of the cell's execute_request
    session_id: str = ""
    container_id: str = ""
    request_id: str = ""  # of the HTTP request in whose course it was written
    fields: dict[str, Any] = field(default_factory=dict)  # whatever else there is to say, by name
    exception: str = ""  # a traceback


def is_at_least(level: str, wanted: str) -> bool:
    """Tell whether a line of this level is to be seen by who wants that one and worse; an unknown level always is."""
    return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(wanted)
