"""Which further names and modules the values a cell reads will use when they are called."""

from __future__ import annotations

import builtins
import dis
import inspect
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Final

from kernel_bridge.capture import walk
from kernel_bridge.capture.analysis import SHELL_NAMES
from kernel_bridge.capture.handle import Handle
from kernel_bridge.capture.randomness import DRAWING
from kernel_bridge.capture.walk import Kind
from kernel_bridge.codecs.functions import is_made_by_library, is_notebook_function

_DYNAMIC: Final = frozenset({"eval", "exec", "globals", "vars", "locals"})
# What may look a name up among the globals; each Python knows some of these.
_NAMING: Final = frozenset(
    {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME"}
    | {"LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_FROM_DICT_OR_GLOBALS"}
)
_PART: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_OURS: Final = frozenset({"builtins", "__main__", "kernel_bridge", "jupyter_ext", "cellburst"})
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")
_STANDARD: Final = (sys.stdlib_module_names | _OURS) - DRAWING  # these have a state which goes along


@dataclass(frozen=True, slots=True)
class Reach:
    """Names surely used in the end (the given ones included), packages by root name, and whether any name may be."""

    names: frozenset[str]
    modules: frozenset[str]
    dynamic: bool
    chains: frozenset[str] = frozenset()  # `xml.dom`: a global's attributes


def expand(names: Iterable[str], namespace: Mapping[str, Any], *, limit_objects: int = 200_000) -> Reach:
    """Follow functions, classes, instances and containers from some names to all the names they use."""
    return _Follow(namespace, limit_objects).run(names)


@dataclass(frozen=True, slots=True)
class CodeUse:
    """What a code object and the ones inside it mention."""

    names: frozenset[str]
    imports: frozenset[str]
    chains: frozenset[str]


@lru_cache(maxsize=4096)
def code_use(code: CodeType) -> CodeUse:
    """Return the globals and the modules a code object uses."""
    names: set[str] = set()
    imports: set[str] = set()
    chains: set[str] = set()
    chain = ""
    for instruction in dis.get_instructions(code):
        kind, text = instruction.opname, str(instruction.argval)
        chain = text if kind in _NAMING else f"{chain}.{text}" if chain and kind in _PART else ""
        if kind in _NAMING:
            names.add(text)
        elif kind == "IMPORT_NAME":
            imports.add(text)
        elif chain:
            chains.add(chain)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = code_use(constant)
            names |= inner.names
            imports |= inner.imports
            chains |= inner.chains
    return CodeUse(frozenset(names), frozenset(imports), frozenset(chains))


class _Follow:
    """One search, breadth first, over at most a number of objects."""

    def __init__(self, namespace: Mapping[str, Any], limit_objects: int) -> None:
        self._namespace = namespace
        self._left = limit_objects
        self._names: set[str] = set()
        self._modules: set[str] = set()
        self._dynamic = False
        self._chains: set[str] = set()
        self._seen: set[int] = {id(namespace), id(vars(builtins))}
        self._queue: deque[Any] = deque()

    def run(self, names: Iterable[str]) -> Reach:
        self._want(names)
        while self._queue and self._left > 0:
            value = self._queue.popleft()
            if id(value) not in self._seen:
                self._seen.add(id(value))
                self._left -= 1
                self._visit(value)
        modules = frozenset(root for root in self._modules if root and root not in _STANDARD)
        return Reach(frozenset(self._names), modules, self._dynamic, frozenset(self._chains))

    def _want(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._namespace and name not in self._names and name not in SHELL_NAMES:
                self._names.add(name)
                self._queue.append(self._namespace[name])

    def _visit(self, value: Any) -> None:
        if type(value) in _VALUES or type(value) is Handle:
            return
        if isinstance(value, ModuleType):
            self._module(value.__name__)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, BuiltinFunctionType):
            self._module(value.__module__)
            self._queue.append(value.__self__)
        else:
            self._object(value)

    def _module(self, name: object) -> None:
        if isinstance(name, str):
            self._modules.add(name.partition(".")[0])

    def _function(self, function: FunctionType) -> None:
        if not is_notebook_function(function, self._namespace):
            self._module(function.__globals__.get("__name__"))
            if is_made_by_library(function):  # it may hold functions of the notebook
                self._queue.extend(walk.members(function, Kind.FUNCTION))
            return
        use = code_use(function.__code__)
        self._dynamic |= not _DYNAMIC.isdisjoint(use.names)
        self._chains |= use.chains
        for name in use.imports:
            self._module(name)
        self._want(use.names)
        self._want(_named_in_texts(function.__annotations__))
        self._queue.extend(walk.members(function, Kind.FUNCTION))

    def _class(self, kind: type) -> None:
        if kind.__module__ != "__main__":
            self._module(kind.__module__)
            return
        self._queue.extend([*kind.__bases__, type(kind)])
        self._want(_named_in_texts(vars(kind).get("__annotations__", {})))
        for member in list(vars(kind).values()):
            self._queue.extend(_of_member(member))

    def _object(self, value: Any) -> None:
        kind = walk.kind_of(type(value))
        self._queue.append(type(value))
        if kind not in _OPAQUE and not isinstance(inspect.getattr_static(value, "__self__", None), ModuleType):
            self._queue.extend(walk.members(value, kind))


def _named_in_texts(annotations: object) -> Iterator[str]:
    """Return the names in annotations that are texts, which `get_type_hints` and its like look up."""
    for text in annotations.values() if isinstance(annotations, dict) else ():
        if isinstance(text, str):
            yield from _IDENTIFIER.findall(text)


def _of_member(member: Any) -> Iterator[Any]:
    if isinstance(member, property):
        yield from (part for part in (member.fget, member.fset, member.fdel) if part is not None)
    elif isinstance(member, staticmethod | classmethod):
        yield member.__func__
    elif type(member) not in _VALUES and not inspect.isdatadescriptor(member):
        yield member


_VALUES: Final = walk.ATOMS - {ModuleType, type}
# Libraries' own data: only where its class comes from matters.
_OPAQUE: Final = frozenset({Kind.ATOM, Kind.FRAME, Kind.TENSOR, Kind.BYTES})
