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
from kernel_bridge.codecs.absent import installed_version, lacking, raised_in
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
        values, tracked, tokens = self._content(names, surveys)
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
        values, tracked, tokens = self._content(unit.names, surveys)
        packed = pack_data((values, tracked, tokens.tobytes()), self._namespace, self._references)
        return replace(unit, pickle=packed.pickle, buffers=packed.buffers, digests=())

    def _content(
        self, names: tuple[str, ...], surveys: Mapping[str, Survey]
    ) -> tuple[dict[str, Any], list[Any], array[int]]:
        """Return what a unit's pickle holds: the values by name, their changeable objects, and the numbers of these."""
        tracked = list({id(value): value for name in names for value in surveys[name].tracked}.values())
        tokens = array("Q", map(self._identities.token_of, tracked))
        return {name: self._namespace[name] for name in names}, tracked, tokens


def why_not_here(error: BaseException, *, in_container: bool) -> str:
    """Say why a unit could not be unpickled on this side."""
    if isinstance(error, ModuleNotFoundError):
        return lacking(str(error.name), in_container=in_container)
    if isinstance(error, NotFound | CannotTravel):
        return str(error)
    version = installed_version(raised_in(error).partition(".")[0])
    where = f" in {version}" if version else ""
    return f"rebuilding it raised {type(error).__name__}{where}: {error}".rstrip(".")


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
