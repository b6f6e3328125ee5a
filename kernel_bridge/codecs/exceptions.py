"""Exceptions travel by what they hold, not by calling their class again: its `__init__` may want other arguments.

What caused them goes along where it holds plain data: an error must not stay away for what an earlier one holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_HEAP_TYPE: Final = 1 << 9  # of `__flags__`: made by a class statement or an extension, not part of the interpreter
_OF_THE_INTERPRETER: Final = (BaseException.__reduce__, OSError.__reduce__, ImportError.__reduce__)
_PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None)})
SHOWN: Final = "_render_traceback_"  # how this side shows it, which is no part of the value


def is_exception_type(kind: type) -> bool:
    """Whether values of a type are exceptions whose class leaves their reduction to the interpreter."""
    return issubclass(kind, BaseException) and kind.__reduce__ in _OF_THE_INTERPRETER


def reduce_exception(error: BaseException) -> tuple[Any, ...]:
    """Return the reduction of an exception: its class, what the interpreter keeps of it, and its attributes."""
    reduced: Any = error.__reduce__()
    _, arguments, *state = reduced
    attributes: Mapping[str, Any] = state[0] if state and state[0] else {}
    kept = {name: value for name, value in attributes.items() if name != SHOWN} | causes(error)
    return make_exception, (type(error), arguments), kept or None


def causes(error: BaseException) -> dict[str, Any]:
    """Return what an exception says of those before it, as far as that travels."""
    before = {"__cause__": error.__cause__, "__context__": error.__context__}
    found: dict[str, Any] = {name: cause for name, cause in before.items() if cause is not None and _is_plain(cause)}
    if error.__suppress_context__:
        found["__suppress_context__"] = True  # the last: setting a cause sets it, too
    return found


def _is_plain(error: BaseException) -> bool:
    own = {name: value for name, value in vars(error).items() if name != SHOWN}
    held = (*error.args, *own.pop("__notes__", ()))
    return is_exception_type(type(error)) and not own and all(type(value) in _PLAIN for value in held)


def make_exception(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """Make an exception as the interpreter does, past the constructors that are written in Python."""
    base: Any = interpreter_base(kind)
    made: BaseException = base.__new__(kind, *arguments)
    base.__init__(made, *arguments)
    return made


def interpreter_base(kind: type) -> type:
    """Return the nearest base of a class that is part of the interpreter, which may be the class itself."""
    return next(base for base in kind.__mro__ if not base.__flags__ & _HEAP_TYPE)
