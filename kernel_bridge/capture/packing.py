"""Make one unit of names that share objects: pickled together, with the numbers of its objects and a fingerprint."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from kernel_bridge.capture.handle import type_name
from kernel_bridge.capture.identities import Identities
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import PackedUnit
from kernel_bridge.capture.walk import Survey
from kernel_bridge.codecs import arrays, tensors
from kernel_bridge.codecs.hashing import KnownDigests, fingerprint
from kernel_bridge.codecs.pickler import pack
from kernel_bridge.codecs.plain_data import pack_data
from kernel_bridge.errors import CannotTravel, NotFound


@dataclass(frozen=True, slots=True)
class Pickled:
    """A unit freshly pickled from this side's objects."""

    unit: PackedUnit
    fingerprint: str
    tokens: array[int]


class Packing:
    """Pickles units of one namespace."""

    def __init__(self, namespace: MutableMapping[str, Any], references: ReferenceTable, identities: Identities) -> None:
        self._namespace = namespace
        self._references = references
        self._identities = identities

    def pickle(
        self, names: tuple[str, ...], surveys: Mapping[str, Survey], digests: KnownDigests, most_bytes: int = 0
    ) -> Pickled:
        """Pickle names as one unit; raises whatever their values' reductions raise, OverLimit above `most_bytes`."""
        tracked = list({id(value): value for name in names for value in surveys[name].tracked}.values())
        tokens = array("Q", map(self._identities.token_of, tracked))
        values = {name: self._namespace[name] for name in names}
        memory = _memory(names, surveys)
        memory.tracked = tracked
        try:
            content = (values, tracked, tokens.tobytes())
            packed = pack(content, self._namespace, self._references, memory, most_bytes=most_bytes)
        except BaseException:
            self._identities.sweep(tokens)
            raise
        hashes = tuple(digests.of(buffer) for buffer in packed.buffers)
        types = {name: type_name(value) for name, value in values.items()}
        unit = PackedUnit(names, packed.pickle, packed.buffers, hashes, types)
        return Pickled(unit, fingerprint(packed.pickle, hashes), tokens)

    def as_data(self, unit: PackedUnit, surveys: Mapping[str, Survey]) -> PackedUnit:
        """Return a unit pickled as plain data, for a side that takes nothing else; raises CannotTravel for more."""
        tracked = list({id(value): value for name in unit.names for value in surveys[name].tracked}.values())
        tokens = array("Q", map(self._identities.token_of, tracked))
        values = {name: self._namespace[name] for name in unit.names}
        packed = pack_data((values, tracked, tokens.tobytes()), self._namespace, self._references)
        return replace(unit, pickle=packed.pickle, buffers=packed.buffers, digests=())


def why_not_here(error: BaseException) -> str:
    """Say why a unit could not be unpickled on this side."""
    if isinstance(error, ModuleNotFoundError):
        return f"it needs the package {error.name}, which is not installed on this side; add it to the image"
    if isinstance(error, NotFound | CannotTravel):
        return str(error)
    return f"it could not be rebuilt on this side: {type(error).__name__}: {error}"


def _memory(names: tuple[str, ...], surveys: Mapping[str, Survey]) -> arrays.Memory:
    """Plan how the arrays and tensors of a unit share memory on their way."""
    found = {id(value): value for name in names for value in surveys[name].arrays}
    shared = {id(value): value for name in names for value in surveys[name].tensors}
    storages = tensors.storages_of_arrays(shared.values(), found.values()) if shared and found else {}
    memory = arrays.plan(found.values(), [storage.array for storage in storages.values()])
    for tensor in shared.values():
        key = tensors.storage_key(tensor)
        memory.tensors[key] = storages.get(key) or memory.tensors.get(key, 0) + 1
    return memory
