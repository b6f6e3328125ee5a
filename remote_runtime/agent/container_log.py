"""The log of a container's own processes: JSON lines on standard error, which is the container's log file.

These loggers are a world of their own: the root logger of the kernel child belongs to the user's code, and what the
kernel itself logs (`cellburst.kernel`, where tracebacks of cells are) goes where the user sends it, never in here.
The child itself has no way to the file. It hands its lines to the agent, which writes them beside its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from kernel_bridge.errors import CellburstError
from kernel_bridge.logs import MESSAGE_LIMIT, BoundedFile, JsonLines, Strike, bind, entry, line_of, strike_tokens
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.logs import LEVELS, LogLine
from kernel_bridge.protocol.redaction import Redactor
from kernel_bridge.protocol.wire import NUMBER_LIMIT, from_wire
from remote_runtime.agent.secrets import secrets_of

LIMIT_BYTES: Final = 4 << 20
CHILD: Final = "child"
PROCESSES: Final = ("zygote", "supervisor", "agent", CHILD)
_ID_LIMIT: Final = 200
_STDERR: Final = 2

Tell = Callable[[dict[str, Any]], None]


def begin(process: str, config: ContainerConfig | None = None) -> None:
    """Write what this process of ours says to its standard error, from here on."""
    handler = BoundedFile(_STDERR, LIMIT_BYTES)
    handler.setFormatter(JsonLines(process, _strike(config)))
    _use(handler, config)


def begin_child(config: ContainerConfig, tell: Tell) -> None:
    """Hand what the kernel child says to the agent, from here on."""
    _use(_Told(tell), config)


def write_for_child(said: Mapping[str, Any], config: ContainerConfig, strike: Strike) -> None:
    """Write a line the child handed over. User code may have made it: it says nothing in anybody else's name."""
    try:
        line = from_wire(LogLine, said)
    except (CellburstError, ValueError):
        return
    own = replace(
        line,
        level=line.level if line.level in LEVELS else "warning",
        process=CHILD,
        message=strike(line.message[:MESSAGE_LIMIT]),
        exception=strike(line.exception[:MESSAGE_LIMIT]),
        cell_id=line.cell_id[:_ID_LIMIT],
        session_id=config.session_id,
        container_id=config.container_id,
        request_id="",
        logger="cellburst.child",
        fields={str(name)[:_ID_LIMIT]: value for name, value in line.fields.items() if _is_number(value)},
    )
    for handler in logging.getLogger("cellburst.agent").handlers:
        if isinstance(handler, BoundedFile):
            handler.write(line_of(own))


def _is_number(value: object) -> bool:
    """Tell whether JSON can say it: NaN and what is too large are not below anything."""
    return isinstance(value, int | float) and abs(value) <= NUMBER_LIMIT


def _strike(config: ContainerConfig | None) -> Strike:
    redactor = Redactor(secrets_of(config) if config else {})
    return lambda text: strike_tokens(redactor.strike(text))


def _use(handler: logging.Handler, config: ContainerConfig | None) -> None:
    for process in PROCESSES:
        logger = logging.getLogger(f"cellburst.{process}")
        logger.propagate = False
        logger.handlers[:] = [handler]
        logger.setLevel((config.log_level if config else "info").upper())
    if config is not None:
        bind(session_id=config.session_id, container_id=config.container_id)


class _Told(logging.Handler):
    """Hands each line to a function."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over. A lost agent is nothing a cell should hear of."""
        try:
            self._tell(entry(record, CHILD))
        except OSError:
            return
