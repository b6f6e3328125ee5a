"""Pickle and unpickle a notebook's values: protocol 5, buffers out of band, functions bound to the namespace."""

from __future__ import annotations

import builtins
import io
import pickle
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import FunctionType
from typing import Any, Final, Protocol

import cloudpickle

from kernel_bridge.codecs import small_arrays
from kernel_bridge.codecs.absent import Absent
from kernel_bridge.codecs.arrays import OUT_OF_BAND_BYTES, Memory
from kernel_bridge.codecs.classes import by_value
from kernel_bridge.codecs.deep import is_too_deep, with_deep_stack
from kernel_bridge.codecs.dispatching import is_dispatcher, reduce_dispatcher
from kernel_bridge.codecs.functions import (
    has_own_globals,
    is_made_by_library,
    is_notebook_function,
    reduce_function,
    reduce_library_function,
)
from kernel_bridge.codecs.guard import GUARD, GuardedSink
from kernel_bridge.codecs.registry import reducer_for
from kernel_bridge.codecs.small_arrays import SmallArrays

_MODULE: Final = __name__
# Runs before every pickle: the unpickler's find_class answers these globals with the receiver's namespace and builtins,
# which become memo entries 0 and 1. The pickler starts with its own as these entries, so meeting such a dict
# (exact dicts never reach reducer_override) costs nothing per object, where a persistent_id costs a call each.
_PROLOGUE: Final = b"\x80\x05" + b"".join(
    b"c%s\n%s\n\x940" % (_MODULE.encode(), name) for name in (b"NAMESPACE", b"BUILTINS")
)
_WITH_SMALL: Final = b"small arrays\n"  # then comes a header, another pickle, before the one it is about

Reference = tuple[str, dict[str, Any]]


class References(Protocol):
    """What the pickler asks about objects that travel as a name."""

    @property
    def in_container(self) -> bool:
        """Whether this side is a container; else it is the notebook."""

    def refer(self, value: object) -> Reference | None:
        """Return the name a value travels under, or None when it travels as data."""

    def find(self, kind: str, details: dict[str, Any]) -> object:
        """Return this side's object for a name."""

    def has_builtin_kinds(self) -> bool:
        """Whether a list, dict, str or the like is among the objects that travel as a name."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One pickle: the in-band part, and the large buffers it refers to in order."""

    pickle: bytes
    buffers: tuple[memoryview, ...]


def pack(
    value: object,
    namespace: MutableMapping[str, Any],
    references: References,
    memory: Memory,
    *,
    most_bytes: int = 0,
    kind: type[NotebookPickler] | None = None,
) -> Packed:
    """Pickle a value; buffers of at least 32 KiB are not copied.

    Raises whatever the value's own reduction raises (see `diagnose` for a sentence about it), TooMuch when that has no
    end, and OverLimit when what is in band grows beyond `most_bytes` (zero: there is no limit).
    """
    if kind is None:
        kind = _ReferringPickler if references.has_builtin_kinds() else NotebookPickler
    make = partial(kind, namespace=namespace, references=references, memory=memory)
    attempt = _Attempt(value, make, memory, most_bytes)
    with GUARD.watching(attempt.progress):
        try:
            return attempt.run()
        except (RecursionError, pickle.PicklingError) as error:
            if not is_too_deep(error):
                raise
        return with_deep_stack(attempt.run)


def unpack(
    data: bytes | memoryview,
    buffers: Iterable[memoryview | bytes],
    namespace: MutableMapping[str, Any],
    references: References,
) -> Any:
    """Unpickle what `pack` made, into this side's namespace."""
    stream = io.BytesIO(data)
    left: Iterator[Any] = iter(buffers)
    if bytes(memoryview(data)[: len(_WITH_SMALL)]) == _WITH_SMALL:
        stream.seek(len(_WITH_SMALL))
        shapes, joined = NotebookUnpickler(stream, (), namespace=namespace, references=references).load()
        left = chain(small_arrays.scatter(next(left) if joined is None else joined, shapes), left)
    return NotebookUnpickler(stream, left, namespace=namespace, references=references).load()


def _write_header(small: SmallArrays, sink: io.BytesIO, buffers: list[memoryview]) -> None:
    joined = small.joined()
    if len(joined) >= OUT_OF_BAND_BYTES:
        buffers.append(memoryview(joined))
    sink.write(_WITH_SMALL)
    pickle.dump((small.shapes, None if len(joined) >= OUT_OF_BAND_BYTES else joined), sink, protocol=5)


def NAMESPACE() -> None:  # noqa: N802 - a name inside the pickle, never called
    """Stand for the receiver's namespace."""


def BUILTINS() -> None:  # noqa: N802 - a name inside the pickle, never called
    """Stand for the receiver's builtins."""


def REFERENCE(kind: str, details: dict[str, Any]) -> None:  # noqa: N802 - a name inside the pickle, never called
    """Stand for an object that the receiver finds by name."""


class _Attempt:
    """One value on its way into bytes; another try starts from nothing."""

    def __init__(
        self, value: object, make: Callable[..., NotebookPickler], memory: Memory, most_bytes: int = 0
    ) -> None:
        self._value = value
        self._make = make
        self._memory = memory
        self._most_bytes = most_bytes
        self._sink = GuardedSink()
        self._buffers: list[memoryview] = []

    def run(self) -> Packed:
        """Pickle the value; raises what its reduction raises."""
        sink, buffers = GuardedSink(self._most_bytes), list[memoryview]()
        self._sink, self._buffers = sink, buffers
        small = small_arrays.gather(self._memory.tracked, self._memory)
        if small is not None:
            _write_header(small, sink, buffers)
        sink.write(_PROLOGUE)
        pickler = self._make(sink, buffers)
        if small is not None:
            sink.write(small.opcodes)
            pickler.memo = pickler.memo.copy() | {id(array): (n, array) for n, array in enumerate(small.arrays, 2)}
        pickler.dump(self._value)
        return Packed(sink.getvalue(), tuple(buffers))

    def progress(self) -> int:
        """Return how far it is, in bytes and buffers."""
        return self._sink.tell() + len(self._buffers)


class NotebookPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle with the notebook's own rules for functions, references, arrays and tensors."""

    def __init__(
        self,
        sink: io.BytesIO,
        buffers: list[memoryview],
        *,
        namespace: MutableMapping[str, Any],
        references: References,
        memory: Memory,
    ) -> None:
        # No method of ours: in a cycle with itself it would keep all it has seen alive, until the collector runs.
        super().__init__(sink, protocol=5, buffer_callback=partial(_take, buffers))
        self.buffers = buffers
        self.namespace: MutableMapping[str, Any] = namespace
        self.references = references
        self.array_memory = memory
        names = vars(builtins)  # in the globals of what `exec` ran
        self.memo = {id(namespace): (0, namespace), id(names): (1, names)}

    def reducer_override(self, obj: Any) -> Any:
        """Say how one object that is not a plain builtin is reduced."""
        reference = self.references.refer(obj)
        if reference is not None:
            return REFERENCE, reference
        if type(obj) is FunctionType:
            return self._reduce_function(obj)
        if isinstance(obj, type):
            return by_value(obj, super().reducer_override(obj))
        reducer = reducer_for(type(obj))
        reduced = NotImplemented if reducer is None else reducer(obj, self)
        return super().reducer_override(obj) if reduced is NotImplemented else reduced

    def _reduce_function(self, function: FunctionType) -> Any:
        if is_notebook_function(function, self.namespace):
            return reduce_function(function, self.namespace)
        if has_own_globals(function):
            return reduce_function(function, function.__globals__)
        if is_dispatcher(function):
            return reduce_dispatcher(function)
        if is_made_by_library(function):
            return reduce_library_function(function)
        return super().reducer_override(function)


class _ReferringPickler(NotebookPickler):
    """The pickler for the rare case that a plain list, dict or str stays on its side."""

    def persistent_id(self, obj: Any) -> Reference | None:
        return self.references.refer(obj)


class NotebookUnpickler(pickle.Unpickler):
    """Unpickle into this side's namespace; references are looked up in this side's table."""

    def __init__(
        self,
        stream: io.BytesIO,
        buffers: Iterable[Any],
        *,
        namespace: MutableMapping[str, Any],
        references: References,
    ) -> None:
        super().__init__(stream, buffers=buffers)
        self._references = references
        self._globals = {"NAMESPACE": namespace, "BUILTINS": vars(builtins), "REFERENCE": references.find}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return a global; the names of this module are answered with this side's objects."""
        if module_name == _MODULE:
            return self._globals[global_name]
        try:
            return super().find_class(module_name, global_name)
        except (ImportError, AttributeError) as error:
            raise Absent(module_name, global_name, error, in_container=self._references.in_container) from error

    def persistent_load(self, pid: Reference) -> Any:
        """Return this side's object for a reference."""
        return self._references.find(*pid)


def _take(buffers: list[memoryview], buffer: pickle.PickleBuffer) -> bool:
    """Keep a large buffer out of the pickle; return whether it goes into it."""
    raw = buffer.raw()
    if raw.nbytes < OUT_OF_BAND_BYTES:
        return True
    buffers.append(raw)
    return False
