"""Find a credential inside a value that is about to travel, and say where: in dicts, objects, closures and code."""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from types import CellType, CodeType, FunctionType
from typing import Any, Final

from kernel_bridge.capture import walk
from kernel_bridge.capture.credentials import looks_like_credential
from kernel_bridge.capture.walk import Kind
from kernel_bridge.codecs.functions import travels_by_value
from kernel_bridge.codecs.kinds import kind_of_type

_MOST_OBJECTS: Final = 5_000  # of one name; a configuration is small, and near the top of what holds it
_MOST_ITEMS: Final = 1_000
_OPAQUE: Final = frozenset({Kind.ATOM, Kind.ARRAY, Kind.FRAME, Kind.TENSOR, Kind.BYTES, Kind.CELL})
_NOT_THE_USERS: Final = frozenset({"IPython", "ipykernel", "jupyter_ext", "kernel_bridge", "logging"})
_TEXTS: Final = frozenset({str, bytes, bytearray})

# What leads to a part: the part it is in (None: the name itself), how it is written, and by what name it goes.
_Step = tuple[Any, str, str]


def credential_inside(name: str, value: object, namespace: Mapping[str, Any]) -> str:
    """Return what is found, as in `cfg['auth'] looks like a GitHub token`; empty when nothing is."""
    queue: deque[tuple[_Step, Any]] = deque([((None, name, name), value)])
    seen = {id(namespace), id(vars(builtins))}
    while queue and len(seen) < _MOST_OBJECTS:
        step, part = queue.popleft()
        if type(part) in _TEXTS:
            found = looks_like_credential(step[2], part)
            if found is not None:
                return f"{_path(step)} looks like {found}"
        elif id(part) not in seen and _may_hold_some(type(part)):
            seen.add(id(part))
            queue.extend(((step, label, own), inner) for label, own, inner in _parts(part, namespace))
    return ""


def _may_hold_some(kind: type) -> bool:
    """Whether values of a type are looked into: not those that never travel, nor the shell and what is ours."""
    if kind in walk.ATOMS or kind_of_type(kind) is not None:
        return kind is type
    module = kind.__module__  # of some classes of extensions it is no text
    return not isinstance(module, str) or module.partition(".")[0] not in _NOT_THE_USERS


def _parts(value: Any, namespace: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Return (how it is written, the name it goes by, the part) of what may hold a text."""
    kind = walk.kind_of(type(value))
    if isinstance(value, type):
        own = vars(value).items() if value.__module__ == "__main__" else ()
        yield from ((f".{name}", name, member) for name, member in own if name[:2] != "__")
    elif kind is Kind.FUNCTION:
        yield from _parts_of_function(value) if travels_by_value(value, namespace) else ()
    elif kind is Kind.METHOD:
        yield from [(".__self__", "", value.__self__), (".__func__", "", getattr(value, "__func__", None))]
    elif kind is Kind.MAPPING:
        yield from ((f"[{key!r:.40}]", str(key), item) for key, item in islice(dict.items(value), _MOST_ITEMS))
    elif kind in {Kind.SEQUENCE, Kind.FROZEN, Kind.SET}:
        yield from ((f"[{number}]", "", item) for number, item in enumerate(islice(value, _MOST_ITEMS)))
    elif isinstance(value, partial):
        yield from [(".keywords", "", value.keywords), (".args", "", value.args)]
    if kind not in _OPAQUE and kind is not Kind.FUNCTION:
        yield "", "", type(value)
        yield from ((f".{name}", name, item) for name, item in walk.attributes(value).items())


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, str, Any]]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield from ((f" (its closure's {name})", name, inner) for inner in _content(cell))
    defaults = function.__defaults__ or ()
    given = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    for name, item in (*zip(given, defaults, strict=True), *(function.__kwdefaults__ or {}).items()):
        yield f" (its argument {name})", name, item
    yield from ((f".{name}", name, item) for name, item in function.__dict__.items())
    yield from ((" (in its code)", "", text) for text in _constants(code))


def _content(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def _constants(code: CodeType) -> Iterator[str | bytes]:
    for constant in code.co_consts:
        if isinstance(constant, str | bytes):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _constants(constant)


def _path(step: _Step | None) -> str:
    written = []
    while step is not None:
        written.append(step[1])
        step = step[0]
    return "".join(reversed(written))
