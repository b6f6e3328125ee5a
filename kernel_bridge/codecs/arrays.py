"""numpy arrays: out of band also when strided, and views that share memory share it again on arrival."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from kernel_bridge.protocol.defaults import DEFAULTS

if TYPE_CHECKING:
    from kernel_bridge.codecs.pickler import NotebookPickler

OUT_OF_BAND_BYTES: Final = DEFAULTS.inline_bytes  # what is smaller stays in the pickle whatever its type


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
    """Which arrays of one unit are views of memory that travels once (keyed by id; the arrays are kept alive).

    `tracked` are the objects that the unit's pickle surely holds.
    """

    placed: dict[int, Placed] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)
    tensors: dict[int, Any] = field(default_factory=dict)
    tracked: list[Any] = field(default_factory=list)


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
    while (further := base.base) is not None:
        base = further
        if not isinstance(base, kind):
            break
    return base


def plan(arrays: Iterable[Any], storages: Iterable[Any] = ()) -> Memory:
    """Decide which arrays travel as views: of their base when it travels too, else of the stretch they share.

    `storages` are tensors' memory as arrays, each over that of some of the arrays.
    """
    memory = Memory()
    groups = by_owner(arrays)
    for storage in storages:
        low, high = extent(storage)
        reached = {key: map(extent, group) for key, group in groups.items()}
        touched = [key for key, found in reached.items() if any(low < last and first < high for first, last in found)]
        groups[id(storage)] = [storage, *(array for key in touched for array in groups.pop(key))]
    for group in groups.values():
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
    """Reduce an array as a view of shared memory, or of its bytes where numpy would copy it into the pickle."""
    dtype = array.dtype
    if dtype.hasobject or not dtype.itemsize:
        return NotImplemented
    placed = pickler.array_memory.placed.get(id(array))
    if placed is None and _is_contiguous(array) and (array.nbytes < OUT_OF_BAND_BYTES or has_buffer(dtype)):
        return NotImplemented
    return make_view, described(array, placed)


@lru_cache(maxsize=256)
def has_buffer(dtype: Any) -> bool:
    """Whether numpy hands out such an array's memory; dates, spans of time and others' types it does not."""
    try:
        memoryview(sys.modules["numpy"].empty(1, dtype))
    except (ValueError, TypeError, BufferError):
        return False
    return True


def described(array: Any, placed: Placed | None = None) -> tuple[Any, ...]:
    """Return the arguments of `make_view` that make an array again: its place in another one, or its own bytes."""
    if placed is not None:
        return placed.base, placed.offset_bytes, array.shape, array.strides, array.dtype, array.flags.writeable
    once = array[tuple(slice(1) if stride == 0 else slice(None) for stride in array.strides)]
    dense = once if _is_contiguous(once) else once.copy(order="K")
    axes = sorted(range(dense.ndim), key=lambda axis: dense.strides[axis], reverse=True)
    flat = dense.transpose(axes).reshape(-1).view("u1")
    strides = tuple(new if old else 0 for old, new in zip(array.strides, dense.strides, strict=True))
    return flat, 0, array.shape, strides, array.dtype, array.flags.writeable


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
    writeable = _is_writeable(cluster)
    covering = [
        array
        for array in cluster
        if is_array_type(type(array))
        and extent(array) == reach
        and _is_contiguous(array)
        and array.flags.writeable == writeable
    ]
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


def _is_writeable(cluster: list[Any]) -> bool:
    """Whether one of them can be written through: a view made before its base became read-only still can."""
    return any(array.flags.writeable for array in cluster)


def _stretch(cluster: list[Any], low: int, high: int) -> Any:
    """Return the bytes a run of arrays covers as one array over the same memory, which it keeps alive."""
    np = sys.modules["numpy"]
    interface = {"version": 3, "shape": (high - low,), "typestr": "|u1", "data": (low, not _is_writeable(cluster))}
    return np.asarray(_Stretch(interface, cluster[0]))


class _Stretch:
    """A stretch of another array's memory, in the form numpy takes without copying."""

    def __init__(self, interface: dict[str, Any], alive: Any) -> None:
        self.__array_interface__ = interface
        self._alive = alive
