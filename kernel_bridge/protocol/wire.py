"""Frozen dataclasses to JSON values and back, without a third-party library.

The agent lives in the user's environment, where any pin of ours could fight one of theirs; so the wire is the standard
library's dataclasses. Unknown keys are ignored (a newer peer may say more), missing ones take the field's default.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar

from kernel_bridge.errors import BadRequest

T = TypeVar("T")

NUMBER_LIMIT: Final = (1 << 63) - 1  # of whole numbers: what a database can hold


def to_wire(value: Any) -> Any:
    """Turn dataclasses, tuples and mappings of them into plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_wire(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple, frozenset, set)):
        return [to_wire(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return value


def from_wire(kind: type[T], data: Any) -> T:
    """Build a dataclass from JSON values; raises BadRequest naming the field that does not fit."""
    if not isinstance(data, Mapping):
        raise BadRequest(f"{kind.__name__} wants an object, not {type(data).__name__}.")
    known = {name: hint for name, hint in _hints(kind).items() if name in data}  # type: ignore[arg-type]
    try:
        return kind(**{name: _value(hint, data[name], f"{kind.__name__}.{name}") for name, hint in known.items()})
    except TypeError as error:
        raise BadRequest(f"{kind.__name__} is incomplete: {error}.") from None


@cache
def _hints(kind: type) -> dict[str, Any]:
    resolved = typing.get_type_hints(kind)
    return {field.name: resolved[field.name] for field in dataclasses.fields(kind)}


def tagged_to_wire(value: Any) -> dict[str, Any]:
    """Turn one of several kinds of dataclass into JSON values that say which, under `kind`."""
    return {"kind": value.kind, **to_wire(value)}


def tagged_from_wire(kinds: Mapping[str, Any], fields: Mapping[str, Any], what: str) -> Any:
    """Build the one of these kinds that the fields say they are; raises BadRequest, which calls it `what`."""
    kind = kinds.get(fields.get("kind", ""))
    if kind is None:
        raise BadRequest(f"{what} of unknown kind {fields.get('kind')!r} arrived.")
    return from_wire(kind, fields)


def _value(hint: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, data, where)
    if origin in (tuple, list, frozenset):
        return _sequence(origin, arguments, data, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            raise BadRequest(f"{where} wants an object, not {type(data).__name__}.")
        return {key: _value(arguments[1], item, where) for key, item in data.items()}
    if dataclasses.is_dataclass(hint):
        return from_wire(typing.cast("type[Any]", hint), data)
    return _scalar(hint, data, where)


def _union(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in arguments:
        return None
    chosen = [argument for argument in arguments if argument is not type(None)]
    if len(chosen) == 1:
        return _value(chosen[0], data, where)
    return _scalar(tuple(chosen), data, where)


def _sequence(origin: Any, arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, (list, tuple)):
        raise BadRequest(f"{where} wants a list, not {type(data).__name__}.")
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(data) != len(arguments):
            raise BadRequest(f"{where} wants {len(arguments)} values, not {len(data)}.")
        return tuple(_value(argument, item, where) for argument, item in zip(arguments, data, strict=True))
    return origin(_value(arguments[0] if arguments else Any, item, where) for item in data)


def _scalar(hint: Any, data: Any, where: str) -> Any:
    if hint is Any:
        return data
    if typing.get_origin(hint) is typing.Literal:
        return _one_of(typing.get_args(hint), data, where)
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(_one_of(_words(hint), data, where))  # a StrEnum
    if hint in (int, float):
        return _number(hint, data, where)
    if not isinstance(data, hint):
        raise BadRequest(f"{where} wants {getattr(hint, '__name__', hint)}, not {type(data).__name__}.")
    return data


def _words(kind: type[StrEnum]) -> tuple[str, ...]:
    return tuple(member.value for member in kind)


def _one_of(words: tuple[Any, ...], data: Any, where: str) -> Any:
    if data not in words:
        raise BadRequest(f"{where} is one of {', '.join(map(repr, words))}.")
    return data


def _number(hint: type[int] | type[float], data: Any, where: str) -> int | float:
    wanted = int if hint is int else (int, float)
    if isinstance(data, bool) or not isinstance(data, wanted):
        raise BadRequest(f"{where} wants {hint.__name__}, not {type(data).__name__}.")
    if isinstance(data, float):
        if not math.isfinite(data):  # JSON has no such numbers, and could not say them back
            raise BadRequest(f"{where} wants a finite number.")
    elif not -NUMBER_LIMIT <= data <= NUMBER_LIMIT:
        raise BadRequest(f"{where} wants a number of at most 64 bits.")
    return hint(data)
