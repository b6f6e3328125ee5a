"""Pickle and unpickle a notebook's values: protocol 5, buffers out of band, functions bound to the namespace."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, Protocol

import cloudpickle

from kernel_bridge.codecs.arrays import Memory
from kernel_bridge.codecs.classes import with_slots
from kernel_bridge.codecs.functions import is_notebook_function, reduce_function
from kernel_bridge.codecs.registry import reducer_for

OUT_OF_BAND_BYTES: Final = 32 * 1024

_MODULE: Final = __name__
# Runs before every pickle: the unpickler's find_class answers this global with the receiver's namespace,
# which becomes memo entry 0. The pickler starts with its own namespace as entry 0, so meeting that dict
# (exact dicts never reach reducer_override) costs nothing per object, where a persistent_id costs a call each.
_PROLOGUE: Final = b"\x80\x05c" + _MODULE.encode() + b"\nNAMESPACE\n\x940"

Reference = tuple[str, dict[str, Any]]


class References(Protocol):
    """What the pickler asks about objects that travel as a name."""

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


def pack(value: object, namespace: MutableMapping[str, Any], references: References, memory: Memory) -> Packed:
    """Pickle a value; buffers of at least 32 KiB are not copied.

    Raises whatever the value's own reduction raises; see `diagnose` for a sentence about it.
    """
    sink = io.BytesIO()
    sink.write(_PROLOGUE)
    buffers: list[memoryview] = []
    kind = _ReferringPickler if references.has_builtin_kinds() else NotebookPickler
    kind(sink, buffers, namespace=namespace, references=references, memory=memory).dump(value)
    return Packed(sink.getvalue(), tuple(buffers))


def unpack(
    data: bytes | memoryview,
    buffers: Iterable[memoryview | bytes],
    namespace: MutableMapping[str, Any],
    references: References,
) -> Any:
    """Unpickle what `pack` made, into this side's namespace."""
    return NotebookUnpickler(data, buffers, namespace=namespace, references=references).load()


def NAMESPACE() -> None:  # noqa: N802 - a name inside the pickle, never called
    """Stand for the receiver's namespace."""


def REFERENCE(kind: str, details: dict[str, Any]) -> None:  # noqa: N802 - a name inside the pickle, never called
    """Stand for an object that the receiver finds by name."""


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
        super().__init__(sink, protocol=5, buffer_callback=self._take)
        self.buffers = buffers
        self.namespace: MutableMapping[str, Any] = namespace
        self.references = references
        self.array_memory = memory
        self.memo = {id(namespace): (0, namespace)}

    def reducer_override(self, obj: Any) -> Any:
        """Say how one object that is not a plain builtin is reduced."""
        reference = self.references.refer(obj)
        if reference is not None:
            return REFERENCE, reference
        if type(obj) is FunctionType and is_notebook_function(obj, self.namespace):
            return reduce_function(obj, self.namespace)
        if isinstance(obj, type):
            return with_slots(obj, super().reducer_override(obj))
        reducer = reducer_for(type(obj))
        reduced = NotImplemented if reducer is None else reducer(obj, self)
        return super().reducer_override(obj) if reduced is NotImplemented else reduced

    def _take(self, buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND_BYTES:
            return True
        self.buffers.append(raw)
        return False


class _ReferringPickler(NotebookPickler):
    """The pickler for the rare case that a plain list, dict or str stays on its side."""

    def persistent_id(self, obj: Any) -> Reference | None:
        return self.references.refer(obj)


class NotebookUnpickler(pickle.Unpickler):
    """Unpickle into this side's namespace; references are looked up in this side's table."""

    def __init__(
        self,
        data: bytes | memoryview,
        buffers: Iterable[memoryview | bytes],
        *,
        namespace: MutableMapping[str, Any],
        references: References,
    ) -> None:
        super().__init__(io.BytesIO(data), buffers=buffers)
        self._namespace = namespace
        self._references = references

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return a global; the two names of this module are answered with this side's objects."""
        if module_name == _MODULE:
            return self._namespace if global_name == "NAMESPACE" else self._references.find
        return super().find_class(module_name, global_name)

    def persistent_load(self, pid: Reference) -> Any:
        """Return this side's object for a reference."""
        return self._references.find(*pid)
