"""Say where inside a value the part is that cannot travel, and what it is."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final

_MOST_TRIES: Final = 400
_MOST_SECONDS: Final = 1.0
_DEEPEST: Final = 30

# Types by their qualified name, so that none of their modules need be imported.
_NAMES: Final = {
    "builtins.generator": "a generator",
    "builtins.coroutine": "a coroutine",
    "builtins.async_generator": "an async generator",
    "builtins.frame": "a frame",
    "builtins.traceback": "a traceback",
    "builtins.ReferenceType": "a weak reference",
    "weakref.ReferenceType": "a weak reference",
    "_thread.lock": "a lock",
    "_thread.RLock": "a lock",
    "threading.Thread": "a thread",
    "socket.socket": "a socket",
    "sqlite3.Connection": "a database connection",
    "subprocess.Popen": "a running process",
    "mmap.mmap": "a memory map",
}


def diagnose(name: str, value: object, attempt: Callable[[object], object], error: BaseException) -> str:
    """Return a sentence such as `cfg.logger.handlers[0].stream is an open file`.

    `attempt` pickles a part and raises if it cannot; `error` is what the whole value raised.
    """
    if _is_too_deep(error):
        return f"{name} is nested too deeply to travel"
    path, culprit, cause = _Search(attempt).descend(name, value, error)
    told = kind_of(culprit)
    known = told is not None and not _has_parts(culprit)
    return f"{path} is {told}" if known else f"{path} cannot be pickled: {_first_line(cause)}"


def kind_of(value: object) -> str | None:
    """Return what a value is in plain words, for the kinds that never travel."""
    if isinstance(value, io.IOBase):
        return "an open file"
    for kind in type(value).__mro__:
        told = _NAMES.get(f"{kind.__module__}.{kind.__qualname__}")
        if told is not None:
            return told
    return None


class _Search:
    """Follow the part that fails, from the outside in, within a budget."""

    def __init__(self, attempt: Callable[[object], object]) -> None:
        self._attempt = attempt
        self._left = _MOST_TRIES
        self._until = time.monotonic() + _MOST_SECONDS
        self._seen: set[int] = set()

    def descend(self, path: str, value: object, error: BaseException) -> tuple[str, object, BaseException]:
        """Return the path, the value and the error of the innermost part that fails."""
        for _ in range(_DEEPEST):
            self._seen.add(id(value))
            found = None if kind_of(value) else self._failing_part(path, value)
            if found is None:
                break
            path, value, error = found
        return path, value, error

    def _failing_part(self, path: str, value: object) -> tuple[str, object, BaseException] | None:
        for label, part in _parts(value):
            if id(part) in self._seen or isinstance(part, ModuleType | type | str | int | float):
                continue
            self._left -= 1
            if self._left < 0 or time.monotonic() > self._until:
                return None
            error = self._error_of(part)
            if error is not None:
                return path + label, part, error
        return None

    def _error_of(self, part: object) -> BaseException | None:
        try:
            self._attempt(part)
        except Exception as error:  # noqa: BLE001 - a value's own reduction may raise anything
            return error
        return None


def _parts(value: object) -> Iterator[tuple[str, Any]]:
    yield from _items(value)
    if isinstance(value, FunctionType):
        yield from _parts_of_function(value)
    if not isinstance(value, type):
        yield from _attributes(value)
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):
        yield ".__self__", owner


def _items(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in list(value.items()))
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"{{{item!r:.40}}}", item) for item in value)


def _attributes(value: object) -> Iterator[tuple[str, Any]]:
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        yield from ((f".{name}", item) for name, item in list(own.items()))
    yield from ((f".{slot}", getattr(value, slot)) for slot in _slots(type(value)) if hasattr(value, slot))


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f" (its closure's {name})", cell.cell_contents
        except ValueError:
            continue
    for index, item in enumerate(function.__defaults__ or ()):
        yield f".__defaults__[{index}]", item


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        declared = base.__dict__.get("__slots__", ())
        yield from (slot for slot in ([declared] if isinstance(declared, str) else declared) if slot[:2] != "__")


def _is_too_deep(error: BaseException) -> bool:
    return isinstance(error, RecursionError) or "deep recursion" in str(error)


def _has_parts(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple | set | frozenset)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
