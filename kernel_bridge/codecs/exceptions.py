"""Exceptions travel by what they hold, not by calling their class again: its `__init__` may want other arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_HEAP_TYPE: Final = 1 << 9  # of `__flags__`: made by a class statement or an extension, not part of the interpreter
_OF_THE_INTERPRETER: Final = (BaseException.__reduce__, OSError.__reduce__, ImportError.__reduce__)
SHOWN: Final = "_render_traceback_"  # how this side shows it, which is no part of the value


def is_exception_type(kind: type) -> bool:
    """Whether values of a type are exceptions whose class leaves their reduction to the interpreter."""
    return issubclass(kind, BaseException) and kind.__reduce__ in _OF_THE_INTERPRETER


def reduce_exception(error: BaseException) -> tuple[Any, ...]:
    """Return the reduction of an exception: its class, what the interpreter keeps of it, and its attributes."""
    reduced: Any = error.__reduce__()
    _, arguments, *state = reduced
    attributes: Mapping[str, Any] = state[0] if state and state[0] else {}
    kept = {name: value for name, value in attributes.items() if name != SHOWN}
    return make_exception, (type(error), arguments), kept or None


def make_exception(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """Make an exception as the interpreter does, past the constructors that are written in Python."""
    base: Any = next(base for base in kind.__mro__ if not base.__flags__ & _HEAP_TYPE)
    made: BaseException = base.__new__(kind, *arguments)
    base.__init__(made, *arguments)
    return made
