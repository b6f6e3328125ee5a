"""numpy arrays: out of band also when strided, and views that share memory share it again on arrival."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel_bridge.codecs.pickler import NotebookPickler


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an array lies inside another one that travels in its place."""

    base: Any
    offset_bytes: int


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an array or tensor lies: in whose memory, from which address, and with what strides."""

    owner: int
    start: int
    strides: tuple[int, ...]


@dataclass(slots=True)
class Memory:
    """Which arrays of one unit are views of memory that travels once (keyed by id; the arrays are kept alive)."""

    placed: dict[int, Placed] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)
    tensors: dict[int, Any] = field(default_factory=dict)


def numpy() -> ModuleType | None:
    """Return numpy if the notebook has imported it."""
    return sys.modules.get("numpy")


def is_array_type(kind: type) -> bool:
    """Whether a type is exactly numpy's array."""
    np = numpy()
    return np is not None and kind is getattr(np, "ndarray", None)


def owner(array: Any) -> Any:
    """Return the object that owns an array's memory: another array, or a buffer it was made from."""
    kind = sys.modules["numpy"].ndarray
    base = array
    while isinstance(base, kind) and base.base is not None:
        base = base.base
    return base


def plan(arrays: Iterable[Any]) -> Memory:
    """Decide which arrays travel as views: of their base when it travels too, else of the stretch they share."""
    memory = Memory()
    for group in by_owner(arrays).values():
        for cluster in _overlapping(group) if len(group) > 1 else ():
            if len(cluster) > 1:
                _place_in(_base_of(cluster), cluster, memory)
    return memory


def by_owner(values: Iterable[Any]) -> dict[int, list[Any]]:
    """Group arrays by the memory they are views of."""
    groups: dict[int, list[Any]] = {}
    for value in values:
        groups.setdefault(id(owner(value)), []).append(value)
    return groups


def spot(array: Any) -> Spot:
    """Return where an array lies."""
    return Spot(id(owner(array)), start(array), array.strides)


def same_layout(places: list[tuple[Spot, Spot | None]], taken: dict[int, int]) -> bool:
    """Whether the old values of one stretch of new memory lie in one stretch of old memory, at the same distances.

    `places` are pairs of new and old, `taken` what new memory each old one was given to; it grows.
    """
    known = [(new, old) for new, old in places if old is not None]
    if not known:
        return True
    new_owner, owners = known[0][0].owner, {old.owner for _, old in known}
    if len(owners) > 1 or taken.setdefault(next(iter(owners)), new_owner) != new_owner:
        return False
    if len(places) == 1:
        return True
    distances = {new.start - old.start for new, old in known}
    return len(known) == len(places) and len(distances) == 1 and all(new.strides == old.strides for new, old in known)


def reduce_array(array: Any, pickler: NotebookPickler) -> Any:
    """Reduce an array as a view of shared memory, or make a strided one contiguous first."""
    if array.dtype.hasobject:
        return NotImplemented
    placed = pickler.array_memory.placed.get(id(array))
    if placed is not None:
        details = (placed.base, placed.offset_bytes, array.shape, array.strides, array.dtype, array.flags.writeable)
        return make_view, details
    flags = array.flags
    if flags.c_contiguous or flags.f_contiguous:
        return NotImplemented
    return sys.modules["numpy"].ascontiguousarray(array).__reduce_ex__(5)


def make_view(
    base: Any, offset_bytes: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any, writeable: bool
) -> Any:
    """Make an array over another one's memory."""
    np = sys.modules["numpy"]
    flat = base if base.flags.c_contiguous else base.T
    view = np.ndarray(shape, dtype, flat, offset_bytes, strides)
    if not writeable:
        view.flags.writeable = False
    return view


def start(array: Any) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def extent(array: Any) -> tuple[int, int]:
    """Return the half-open range of addresses an array touches."""
    low = high = start(array)
    for length, stride in zip(array.shape, array.strides, strict=True):
        if length == 0:
            return low, low
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def _base_of(cluster: list[Any]) -> Any:
    """Return the array that covers all the others if one does, else their stretch of memory."""
    reach = _reach(cluster)
    covering = [array for array in cluster if extent(array) == reach and _is_contiguous(array)]
    owners = [array for array in covering if array.base is None]
    return (owners or covering or [_stretch(cluster, *reach)])[0]


def _place_in(base: Any, arrays: list[Any], memory: Memory) -> None:
    low, _ = extent(base)
    memory.keep += [base, *arrays]
    for array in arrays:
        if array is not base:
            memory.placed[id(array)] = Placed(base, start(array) - low)


def _overlapping(group: list[Any]) -> list[list[Any]]:
    """Return the arrays in runs whose stretches of memory touch one another."""
    clusters: list[list[Any]] = []
    reach = -1
    for array in sorted(group, key=extent):
        low, high = extent(array)
        if low == high or array.dtype.hasobject:
            continue
        if low < reach:
            clusters[-1].append(array)
        else:
            clusters.append([array])
        reach = max(reach, high)
    return clusters


def _reach(cluster: list[Any]) -> tuple[int, int]:
    extents = [extent(array) for array in cluster]
    return min(low for low, _ in extents), max(high for _, high in extents)


def _is_contiguous(array: Any) -> bool:
    return bool(array.flags.c_contiguous or array.flags.f_contiguous)


def _stretch(cluster: list[Any], low: int, high: int) -> Any:
    """Return the bytes a run of arrays covers as one array over the same memory, which it keeps alive."""
    np = sys.modules["numpy"]
    interface = {"version": 3, "shape": (high - low,), "typestr": "|u1", "data": (low, not cluster[0].flags.writeable)}
    return np.asarray(_Stretch(interface, cluster[0]))


class _Stretch:
    """A stretch of another array's memory, in the form numpy takes without copying."""

    def __init__(self, interface: dict[str, Any], alive: Any) -> None:
        self.__array_interface__ = interface
        self._alive = alive
