"""Walk the live objects of a value: what can change inside it, what it shares, and about how large it is."""

from __future__ import annotations

import builtins
import copyreg
import gc
import logging
import re
import sys
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from functools import cached_property, partial, wraps
from types import (
    BuiltinMethodType,
    CellType,
    CodeType,
    FunctionType,
    GenericAlias,
    MethodType,
    ModuleType,
    UnionType,
)
from typing import Any, Final, TypeVar

from kernel_bridge.capture import everybodys, states
from kernel_bridge.capture.handle import Handle
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.codecs import array_classes, arrays, tensors
from kernel_bridge.codecs.array_classes import is_array_class, is_memory, object_parts
from kernel_bridge.codecs.dispatching import implementations, is_dispatcher
from kernel_bridge.codecs.exceptions import SHOWN, causes
from kernel_bridge.codecs.functions import cell_content, has_own_globals, travels_by_value
from kernel_bridge.codecs.loggers import standard_streams
from kernel_bridge.codecs.strings import is_text

MOST_OBJECTS: Final = 500_000
ATOMS: Final[frozenset[type]] = frozenset(
    {int, float, complex, bool, str, bytes, type(None), type(...), range, slice, ModuleType, CodeType}
    | {date, time, datetime, timedelta, timezone, Decimal, re.Pattern, GenericAlias, UnionType}
)


class Named:
    """Base of what travels as a name and is never looked into."""

    __slots__ = ()


_FUNCTION_RECORDS: Final = {"pybind11_builtins", "PyCapsule"}  # all functions of an extension may have one `__self__`
_ATOMIC_BASES: Final = (Named, ModuleType, Enum, Handle, logging.Logger, logging.Handler)
_PICKLED_BY: Final = ("__reduce_ex__", "__reduce__", "__getstate__")
_FAITHFUL: Final[frozenset[type]] = frozenset(
    {list, tuple, set, frozenset, dict, bytearray, deque, OrderedDict, defaultdict, Counter, CellType}
)
# What these put into a pickle themselves is what they hold: parameters and the steps of a pipeline keep their identity.
_HONEST: Final = (("torch.nn", "Module"), ("torch.optim", "Optimizer"), ("sklearn.base", "BaseEstimator"))
_NUMBER_BYTES: Final = 9
_MOST_TYPES: Final = 4096

T = TypeVar("T")


def _once_per_type(function: Callable[[type], T]) -> Callable[[type], T]:
    """Remember what a function says about each type; in a plain dict, because this is asked for every object."""
    known: dict[type, T] = {}

    @wraps(function)
    def remembered(kind: type) -> T:
        found = known.get(kind)
        if found is None:
            if len(known) >= _MOST_TYPES:
                known.clear()
            found = known[kind] = function(kind)
        return found

    return remembered


class Kind(IntEnum):
    """What the walk does with a type."""

    ATOM = 0  # nothing inside can change
    FROZEN = 1  # its members cannot be exchanged, but may change
    SEQUENCE = 2
    SET = 3
    MAPPING = 4
    BYTES = 5
    ARRAY = 6
    FRAME = 7
    TENSOR = 8
    FUNCTION = 9
    CELL = 10
    METHOD = 11
    INSTANCE = 12
    FOREIGN = 13  # made by an extension: only the collector knows what is inside
    STATE = 14  # made by an extension, with a state that another one can take
    CLASS = 15  # the notebook's, with attributes that hold what can change
    WEAK = 16  # a weak reference: what it leads to is what other names hold


@dataclass(slots=True)
class Survey:
    """What a walk found: identities of what can change, what a pickle will surely hold, arrays, and a size."""

    ids: set[int] = field(default_factory=set)
    tracked: list[Any] = field(default_factory=list)
    arrays: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    size_bytes: int = 0
    truncated: bool = False
    alive: list[Any] = field(default_factory=list)  # what looking has made has an identity too


@_once_per_type
def kind_of(kind: type) -> Kind:
    """Return what the walk does with objects of a type."""
    if kind in ATOMS or issubclass(kind, _ATOMIC_BASES) or _FUNCTION_RECORDS & {kind.__module__, kind.__name__}:
        return Kind.ATOM
    if kind is weakref.ref:  # others belong to the collections that made them
        return Kind.WEAK
    found = _library_kind(kind)
    if found is None:
        found = _builtin_kind(kind)
    return _object_kind(kind) if found is None else found


def library_class(library: str, name: str) -> type | tuple[()]:
    """Return a class of a library the notebook has imported; an empty tuple, which nothing is an instance of."""
    found = getattr(sys.modules.get(library), name, ())
    return found if isinstance(found, type) else ()


@_once_per_type
def is_transparent(kind: type) -> bool:
    """Whether a pickle of such an object surely holds the members that the walk sees."""
    if kind in _FAITHFUL or kind is partial or kind_of(kind) in {Kind.ARRAY, Kind.FUNCTION, Kind.METHOD, Kind.CLASS}:
        return True
    libraries = (library_class(library, name) for library, name in _HONEST)
    honest = (object, BaseException, *(base for base in libraries if base))
    inherited = any(
        issubclass(kind, base) and all(getattr(kind, name, None) is getattr(base, name, None) for name in _PICKLED_BY)
        for base in honest
    )
    return inherited and kind not in copyreg.dispatch_table


def survey(value: object, namespace: Mapping[str, Any], references: ReferenceTable) -> Survey:
    """Walk a value and everything it reaches."""
    return _Walk(namespace, references).run(value)


def members(value: Any, kind: Kind) -> list[Any]:
    """Return the objects directly inside a value, atoms left out."""
    if kind in _ITERATED:
        found = _not_atoms(value)
    elif kind is Kind.MAPPING:
        found = _not_atoms(dict.values(value)) + _not_atoms(dict.keys(value))
        found += [value.default_factory] if isinstance(value, defaultdict) else []
    elif kind is Kind.ARRAY:
        return _of_array(value)
    elif kind in _SPECIAL:
        return _SPECIAL[kind](value)
    else:
        found = _inside(value)
    if type(value) in _FAITHFUL:
        return found
    own = list(attributes(value).values())
    return [*found, *own, type(value)] if type(value).__module__ == _MAIN else found + own


def attributes(value: Any) -> dict[str, Any]:
    """Return an object's own attributes, slots included."""
    own = getattr(value, "__dict__", None)
    found = dict(own) if isinstance(own, dict) else {}
    found.pop(SHOWN, None)
    for name in slots_of(type(value)):
        try:
            found[name] = object.__getattribute__(value, name)
        except AttributeError:
            continue
    return found


@_once_per_type
def slots_of(kind: type) -> tuple[str, ...]:
    """Return the names of a type's slots, mangled as the instances have them."""
    names = copyreg._slotnames(kind)  # type: ignore[attr-defined]
    return tuple(names)


class _Walk:
    """One walk; first along what a pickle surely holds, then into what only may be shared."""

    def __init__(self, namespace: Mapping[str, Any], references: ReferenceTable) -> None:
        self._namespace = namespace
        self._references = references
        self._found = Survey()
        # The builtins, in the globals of what `exec` ran, are everybody's, and so are the standard streams.
        everybodys = [vars(builtins), namespace.get("__builtins__"), *standard_streams()]
        self._seen = {id(namespace), *map(id, everybodys)}
        self._later: deque[Any] = deque()
        self._has_plots = False

    def run(self, value: object) -> Survey:
        self._drain(deque([value]), sure=True)
        self._drain(self._later, sure=False)
        return self._found

    def _drain(self, queue: deque[Any], *, sure: bool) -> None:
        while queue:
            value = queue.popleft()
            kind = kind_of(type(value))
            if kind is Kind.ATOM:
                self._found.size_bytes += _atom_bytes(value)
            elif id(value) not in self._seen and not self._is_full():
                self._seen.add(id(value))
                if self._references.refer(value) is None:
                    self._visit(value, kind, queue, sure)

    def _visit(self, value: Any, kind: Kind, queue: deque[Any], sure: bool) -> None:
        if kind is Kind.FUNCTION and not travels_by_value(value, self._namespace):
            return
        if kind is Kind.INSTANCE and not self._has_plots and type(value).__module__.startswith(everybodys.PLOTS):
            self._has_plots = True
            self._seen |= everybodys.plots_own()
        inside = members(value, kind)
        if kind is Kind.CLASS and not inside:
            return
        self._note(value, kind)
        if sure and kind not in _NEVER_TRACKED and (inside or kind is not Kind.FROZEN):
            self._found.tracked.append(value)
        onward = queue if not sure or is_transparent(type(value)) else self._later
        onward.extend(inside)

    def _note(self, value: Any, kind: Kind) -> None:
        found = self._found
        found.size_bytes += _own_bytes(value, kind)
        if kind is Kind.ARRAY:
            if is_memory(type(value)):
                found.arrays.append(value)
            owner = arrays.owner(value)
            found.ids.add(id(owner))
            found.alive.append(owner)
            if tensors.torch() is not None:
                found.ids.add(tensors.memory_of(owner))
        elif kind is Kind.TENSOR:
            found.tensors.append(value)
            found.ids.add(tensors.storage_key(value))
        if kind not in _WITHOUT_IDENTITY:
            found.ids.add(id(value))
            found.alive.append(value)

    def _is_full(self) -> bool:
        self._found.truncated = len(self._seen) > MOST_OBJECTS
        return self._found.truncated


def _library_kind(kind: type) -> Kind | None:
    return next((found for library, name, found in _LIBRARIES if issubclass(kind, library_class(library, name))), None)


def _builtin_kind(kind: type) -> Kind | None:
    return next((found for base, found in _BUILTINS if issubclass(kind, base)), None)


def _object_kind(kind: type) -> Kind:
    return Kind.INSTANCE if getattr(kind, "__dictoffset__", 0) or slots_of(kind) else Kind.FOREIGN


def _not_atoms(values: Iterable[Any]) -> list[Any]:
    kinds = set(map(type, values))
    if kinds <= ATOMS:
        return []
    return [value for value in values if type(value) not in ATOMS]


def _inside(value: Any) -> list[Any]:
    if isinstance(value, BaseException):
        return [*value.args, *causes(value).values()]
    return states.members(value) if isinstance(value, partial) else []


def _of_function(function: FunctionType) -> list[Any]:
    if is_dispatcher(function):
        return list(implementations(function).values())
    parts: list[Any] = [*(function.__closure__ or ()), *(function.__defaults__ or ())]
    parts += (function.__kwdefaults__ or {}).values()
    if has_own_globals(function):
        parts.append(function.__globals__)
    return parts + list(function.__dict__.values())


def _of_class(kind: type) -> list[Any]:
    """Return what a class of the notebook's holds besides its own methods, and its bases that hold something."""
    if kind.__module__ != _MAIN or issubclass(kind, Enum):
        return []
    held = [value for name, value in vars(kind).items() if _is_held(kind, name, value)]
    return [*held, *(base for base in kind.__bases__ if _of_class(base))]


def _is_held(kind: type, name: str, value: Any) -> bool:
    found = kind_of(type(value))
    if found is Kind.FUNCTION:  # made elsewhere, and put there
        return value.__module__ == _MAIN and not value.__qualname__.startswith(f"{kind.__qualname__}.")
    if name.startswith("__") or isinstance(value, _DESCRIPTORS):
        return False
    return found in _HELD or (found is Kind.FROZEN and bool(_not_atoms(value)))


def _of_array(array: Any) -> list[Any]:
    found: list[Any] = []
    if array.dtype.hasobject and not is_text(array):
        found = [item for part in object_parts(array) for item in _not_atoms(part.ravel().tolist())]
    return found + list(array_classes.attributes(array).values()) if is_array_class(type(array)) else found


def _of_cell(cell: CellType) -> list[Any]:
    return list(cell_content(cell)[1:])


def _of_tensor(tensor: Any) -> list[Any]:
    grad = tensor.grad if tensor.is_leaf else None
    return ([] if grad is None else [grad]) + list(getattr(tensor, "__dict__", {}).values())


def _atom_bytes(value: Any) -> int:
    return len(value) if type(value) in {str, bytes} else _NUMBER_BYTES


def _own_bytes(value: Any, kind: Kind) -> int:
    if kind in _ITERATED:
        return _atoms_bytes(value)
    if kind is Kind.MAPPING:
        return _atoms_bytes(dict.values(value)) + _atoms_bytes(dict.keys(value))
    if kind is Kind.ARRAY:
        return int(value.nbytes)
    if kind is Kind.TENSOR:
        return tensors.size_bytes(value)
    return _frame_bytes(value) if kind is Kind.FRAME else 64


def _atoms_bytes(values: Any) -> int:
    kinds = set(map(type, values))
    if str not in kinds and bytes not in kinds:
        return _NUMBER_BYTES * len(values)
    if kinds <= {str, bytes}:
        return sum(map(len, values)) + 4 * len(values)
    return sum(len(value) + 4 if type(value) in {str, bytes} else _NUMBER_BYTES for value in values)


def _frame_bytes(frame: Any) -> int:
    usage = frame.memory_usage()
    return int(usage if isinstance(usage, int) or not hasattr(usage, "sum") else usage.sum())


_ITERATED: Final = frozenset({Kind.SEQUENCE, Kind.FROZEN, Kind.SET})
_MAIN: Final = "__main__"
_DESCRIPTORS: Final = (staticmethod, classmethod, property, cached_property)
_HELD: Final = frozenset(
    {Kind.SEQUENCE, Kind.SET, Kind.MAPPING, Kind.BYTES, Kind.ARRAY, Kind.FRAME, Kind.TENSOR, Kind.INSTANCE, Kind.STATE}
)
_NEVER_TRACKED: Final = frozenset({Kind.ATOM, Kind.METHOD, Kind.WEAK})
_WITHOUT_IDENTITY: Final = frozenset({Kind.ATOM, Kind.METHOD, Kind.FROZEN, Kind.WEAK})
_SPECIAL: Final[dict[Kind, Callable[[Any], list[Any]]]] = {
    Kind.FUNCTION: _of_function,
    Kind.CLASS: _of_class,
    Kind.CELL: _of_cell,
    Kind.METHOD: lambda method: [method.__self__, getattr(method, "__func__", None)],
    Kind.WEAK: lambda reference: [reference()],
    Kind.FOREIGN: gc.get_referents,
    Kind.TENSOR: _of_tensor,
    Kind.FRAME: lambda _: [],
    Kind.BYTES: lambda _: [],
}
_LIBRARIES: Final = (
    ("numpy", "generic", Kind.ATOM),
    ("numpy", "dtype", Kind.ATOM),
    ("numpy", "ndarray", Kind.ARRAY),
    ("pandas", "DataFrame", Kind.FRAME),
    ("pandas", "Series", Kind.FRAME),
    ("pandas", "Index", Kind.FRAME),
    ("torch", "Tensor", Kind.TENSOR),
    ("numpy", "ufunc", Kind.ATOM),
    *((library, name, Kind.STATE) for library, name in states.LIBRARY_TYPES),
)
_BUILTINS: Final[tuple[tuple[type, Kind], ...]] = (
    (list, Kind.SEQUENCE),
    (deque, Kind.SEQUENCE),
    (dict, Kind.MAPPING),
    (tuple, Kind.FROZEN),
    (frozenset, Kind.FROZEN),
    (set, Kind.SET),
    (bytearray, Kind.BYTES),
    (FunctionType, Kind.FUNCTION),
    (type, Kind.CLASS),
    (CellType, Kind.CELL),
    (MethodType, Kind.METHOD),
    (BuiltinMethodType, Kind.METHOD),
    *((kind, Kind.STATE) for kind in states.BUILTIN_TYPES),
)
