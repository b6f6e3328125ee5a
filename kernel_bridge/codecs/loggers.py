"""Standard streams travel by their name, and loggers with the handlers that write to them."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

Chain = list[tuple[str, int, bool, list[logging.Handler]]]  # name, level, propagate, handlers; the root comes last

_STREAMS: Final = ("stdout", "stderr", "stdin")
_OURS: Final = "_cellburst_arrived"  # marks handlers that came with a logger
_TOLD: Final = "_cellburst_told"  # marks handlers that were said to stay
_LIBRARY: Final = frozenset({"logging", "logging.handlers"})


def is_stream_type(kind: type) -> bool:
    """Whether values of a type may be one of the standard streams."""
    return issubclass(kind, io.IOBase) or callable(getattr(kind, "write", None))


def reduce_stream(stream: Any) -> Any:
    """Reduce a standard stream to its name; anything else as it would be without us."""
    name = stream_name(stream)
    return NotImplemented if name is None else (standard_stream, (name,))


def standard_streams() -> list[Any]:
    """Return this side's standard streams; nobody need look into them."""
    return [getattr(sys, each, None) for name in _STREAMS for each in (name, f"__{name}__")]


def stream_name(stream: object) -> str | None:
    """Return which of the standard streams this is, or None."""
    for name in _STREAMS:
        if stream is not None and any(stream is getattr(sys, each, None) for each in (name, f"__{name}__")):
            return name
    return None


def standard_stream(name: str) -> Any:
    """Return this side's stream of that name."""
    return getattr(sys, name)


def reduce_handler(handler: logging.Handler) -> Any:
    """Reduce a handler that writes to a standard stream; others are reduced as they would be without us."""
    name = _handler_stream(handler)
    if name is None:
        return NotImplemented
    return make_handler, (name, handler.level, handler.formatter, list(handler.filters))


def make_handler(stream: str, level: int, formatter: logging.Formatter | None, filters: list[Any]) -> logging.Handler:
    """Make a handler that writes to a standard stream of this side."""
    made = _Handler(stream)
    made.setLevel(level)
    made.setFormatter(formatter)
    for each in filters:
        made.addFilter(each)
    return made


def reduce_logger(logger: logging.Logger) -> Any:
    """Reduce a logger to its name and level, and its own and its parents' handlers for standard streams."""
    return take_logger, (_chain(logger),)


def reduce_module(module: ModuleType) -> Any:
    """Reduce the module `logging` with its root logger; other modules as they would be without us."""
    if module is not logging or not logging.root.handlers:
        return NotImplemented
    return take_module, (_chain(logging.root),)


def take_module(chain: Chain) -> ModuleType:
    """Return the module `logging`, whose root logger is set as it was where it came from."""
    take_logger(chain)
    return logging


def take_logger(chain: Chain) -> logging.Logger:
    """Return this side's logger of that name, set as it was where it came from.

    Handlers that this side has put there itself stay, and then none are added: no line is written twice.
    """
    for name, level, propagate, handlers in reversed(chain):
        logger = logging.getLogger(name or None)
        own = [handler for handler in logger.handlers if not hasattr(handler, _OURS)]
        if own:
            continue
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers
        for handler in handlers:
            setattr(handler, _OURS, True)
    return logging.getLogger(chain[0][0] or None)


def staying_lines(values: Iterable[tuple[str, object]], *, in_container: bool) -> list[str]:
    """Say of loggers, and of the module `logging`, which of their handlers stay on this side; of each handler once."""
    found = [(name, logger) for name, value in values if (logger := _logger_of(value)) is not None]
    return [
        _staying_line(name if owner is logger else f"the logger {owner.name}", handler, in_container=in_container)
        for name, logger in found
        for owner, handler in _staying(logger)
    ]


class _Handler(logging.StreamHandler[Any]):
    """Writes to the stream that bears the name now: a cell's output is caught by replacing it."""

    def __init__(self, stream: str) -> None:
        self._name_of_stream = stream
        super().__init__()

    @property
    def stream(self) -> Any:
        return getattr(sys, self._name_of_stream)

    @stream.setter
    def stream(self, value: Any) -> None:
        """Ignore what the base class sets."""


def _handler_stream(handler: logging.Handler) -> str | None:
    if type(handler) not in {logging.StreamHandler, _Handler}:
        return None
    return stream_name(handler.stream)  # type: ignore[attr-defined]


def _logger_of(value: object) -> logging.Logger | None:
    return logging.root if value is logging else value if isinstance(value, logging.Logger) else None


def _staying(logger: logging.Logger) -> Iterator[tuple[logging.Logger, logging.Handler]]:
    current: logging.Logger | None = logger
    while current is not None:
        for handler in current.handlers:
            writes = isinstance(handler, logging.StreamHandler) and type(handler).__module__ in _LIBRARY
            if writes and _handler_stream(handler) is None and not hasattr(handler, _TOLD):
                setattr(handler, _TOLD, True)
                yield current, handler
        current = current.parent if current.propagate else None


def _staying_line(name: str, handler: logging.Handler, *, in_container: bool) -> str:
    file = Path(getattr(handler, "baseFilename", "")).name
    told = f"{name}: its {type(handler).__name__}{file and f' ({file})'}"
    if in_container:
        return f"{told} stayed remote: what is logged here does not go through it"
    return f"{told} stays here: what the cell logs does not go through it"


def _chain(logger: logging.Logger) -> Chain:
    chain: Chain = []
    current: logging.Logger | None = logger
    while current is not None:
        handlers = [handler for handler in current.handlers if _handler_stream(handler) is not None]
        name = "" if current is logging.root else current.name
        chain.append((name, current.level, current.propagate, handlers))
        current = current.parent if current.propagate else None
    return chain
