"""Say where inside a value the part is that cannot travel, and what it is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, Final

from kernel_bridge.codecs.deep import is_too_deep
from kernel_bridge.codecs.guard import TooMuch
from kernel_bridge.codecs.kinds import StaysHere, kind_of
from kernel_bridge.codecs.locks import HELD, LOCKS

_MOST_TRIES: Final = 400
_MOST_SECONDS: Final = 1.0
_DEEPEST: Final = 30


def diagnose(name: str, value: object, attempt: Callable[[object], object], error: BaseException) -> str:
    """Return a sentence such as `cfg.logger.handlers[0].stream is an open file`.

    `attempt` pickles a part and raises if it cannot; `error` is what the whole value raised.
    """
    if is_too_deep(error):
        return f"{name} is nested too deeply to travel"
    if isinstance(error, TooMuch):
        return f"{name} {error.detail}"
    try:
        path, culprit, cause = _Search(attempt).descend(name, value, error)
    except Exception:  # noqa: BLE001 - properties, items and representations are the user's code too
        path, culprit, cause = name, None, error
    told = _told(culprit)
    if told:
        return f"{path} is {told}"
    return f"{path} holds {cause.told}" if isinstance(cause, StaysHere) else f"{path} cannot be pickled: {_said(cause)}"


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
            found = None if kind_of(value) is not None else self._failing_part(path, value)
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
    if isinstance(value, partial):
        yield from ((f".{name}", getattr(value, name)) for name in ("func", "args", "keywords"))
    if not isinstance(value, type):
        yield from _attributes(value)
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ == "__main__":  # such a class travels with it, and with what its body bound
        yield from ((f".{name}", item) for name, item in vars(kind).items() if name[:2] != "__")
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):
        yield ".__self__", owner


def _items(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in list(value.items()))
    elif isinstance(value, list | tuple | deque):
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


def _told(culprit: object) -> str:
    """Say what the culprit is, where that is the reason."""
    if type(culprit) in LOCKS:
        return str(HELD)
    told = kind_of(culprit)
    return "" if told is None else str(told)


def _said(error: BaseException) -> str:
    """Return the first line of what an error says; its own text may fail."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - its own __str__
        lines = []
    return lines[0] if lines else type(error).__name__
