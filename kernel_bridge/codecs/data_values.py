"""Values that are nothing but data: how each is taken apart, and how it is built again from parts one does not trust.

A reduction is the name of a constructor and what it is given, then an iterator of items and one of pairs, as in pickle.
A constructor takes whatever arrives: it checks what could do more than make a value, and calls no code of the notebook.
"""

from __future__ import annotations

import builtins
import datetime
import decimal
import fractions
import pathlib
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from kernel_bridge.errors import CannotTravel

Build = Callable[[Any], Any]
Reduced = tuple[Any, ...]

_FACTORIES: Final = {kind.__name__: kind for kind in (list, dict, set, int, float, str, tuple, bool)}


def reduce(value: Any) -> Reduced | None:
    """Take a value of the standard library apart; None when it is none of these."""
    simple = _REDUCERS.get(type(value))
    if simple is not None:
        return simple(value)
    if isinstance(value, pathlib.PurePath) and type(value).__module__.partition(".")[0] == "pathlib":
        return "path", (isinstance(value, pathlib.Path), str(value))
    if isinstance(value, BaseException) and type(value) is getattr(builtins, type(value).__name__, None):
        return "exception", (type(value).__name__, value.args)
    return None


def _reduce_defaultdict(value: defaultdict[Any, Any]) -> Reduced:
    factory = value.default_factory
    name = next((name for name, kind in _FACTORIES.items() if kind is factory), None)
    if factory is not None and name is None:
        raise CannotTravel("a defaultdict with a factory of its own is more than data")
    return "defaultdict", name, None, iter(value.items())


def _reduce_datetime(value: datetime.datetime) -> Reduced:
    date = (value.year, value.month, value.day)
    return "datetime", (*date, value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo)


def _reduce_time(value: datetime.time) -> Reduced:
    return "time", (value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo)


def _build_datetime(state: Any) -> datetime.datetime:
    year, month, day, hour, minute, second, microsecond, fold, zone = state
    return datetime.datetime(year, month, day, hour, minute, second, microsecond, fold=fold, tzinfo=zone)


def _build_time(state: Any) -> datetime.time:
    hour, minute, second, microsecond, fold, zone = state
    return datetime.time(hour, minute, second, microsecond, fold=fold, tzinfo=zone)


def _build_defaultdict(name: Any) -> defaultdict[Any, Any]:
    return defaultdict(None if name is None else _FACTORIES[name])


def _build_path(state: Any) -> pathlib.PurePath:
    concrete, text = state
    return pathlib.Path(_a(str, text)) if concrete else pathlib.PurePath(_a(str, text))


def _build_exception(state: Any) -> BaseException:
    name, arguments = state
    kind = getattr(builtins, _a(str, name), None)
    if not isinstance(kind, type) or not issubclass(kind, BaseException):
        raise CannotTravel(f"{name!r:.80} is no exception of Python's own")
    return kind(*arguments)


def _a(kind: type, value: Any) -> Any:
    """Return a value that must be of exactly this type."""
    if type(value) is not kind:
        raise CannotTravel(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


_REDUCERS: Final[Mapping[type, Callable[[Any], Reduced]]] = {
    complex: lambda value: ("complex", (value.real, value.imag)),
    range: lambda value: ("range", (value.start, value.stop, value.step)),
    slice: lambda value: ("slice", (value.start, value.stop, value.step)),
    type(...): lambda _: ("ellipsis", None),
    decimal.Decimal: lambda value: ("decimal", str(value)),
    fractions.Fraction: lambda value: ("fraction", (value.numerator, value.denominator)),
    uuid.UUID: lambda value: ("uuid", value.int),
    datetime.date: lambda value: ("date", (value.year, value.month, value.day)),
    datetime.time: _reduce_time,
    datetime.datetime: _reduce_datetime,
    datetime.timedelta: lambda value: ("timedelta", (value.days, value.seconds, value.microseconds)),
    datetime.timezone: lambda value: ("timezone", value.utcoffset(None)),
    zoneinfo.ZoneInfo: lambda value: ("zone", value.key),
    OrderedDict: lambda value: ("ordered", None, None, iter(value.items())),
    defaultdict: _reduce_defaultdict,
    Counter: lambda value: ("counter", None, None, iter(value.items())),
    deque: lambda value: ("deque", value.maxlen, iter(value)),
    types.SimpleNamespace: lambda value: ("simple", dict(vars(value))),
}
CONSTRUCTORS: Final[dict[str, Build]] = {
    "complex": lambda state: complex(*state),
    "range": lambda state: range(*state),
    "slice": lambda state: slice(*state),
    "ellipsis": lambda _: ...,
    "decimal": lambda text: decimal.Decimal(_a(str, text)),
    "fraction": lambda state: fractions.Fraction(*(_a(int, part) for part in state)),
    "uuid": lambda number: uuid.UUID(int=_a(int, number)),
    "date": lambda state: datetime.date(*state),
    "time": _build_time,
    "datetime": _build_datetime,
    "timedelta": lambda state: datetime.timedelta(*state),
    "timezone": lambda offset: datetime.timezone(_a(datetime.timedelta, offset)) if offset else datetime.UTC,
    "zone": lambda key: zoneinfo.ZoneInfo(_a(str, key)),
    "ordered": lambda _: OrderedDict(),
    "defaultdict": _build_defaultdict,
    "counter": lambda _: Counter(),
    "deque": lambda maxlen: deque(maxlen=maxlen),
    "simple": lambda state: types.SimpleNamespace(**_a(dict, state)),
    "path": _build_path,
    "exception": _build_exception,
}
