"""Bring objects that are here already up to date with what arrived, so that other references to them see it."""

from __future__ import annotations

import struct
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any, Final

from kernel_bridge.capture import walk
from kernel_bridge.capture.identities import Identities
from kernel_bridge.capture.walk import Kind
from kernel_bridge.codecs import arrays, tensors
from kernel_bridge.codecs.arrays import Spot
from kernel_bridge.codecs.functions import cell_content, set_cell
from kernel_bridge.codecs.hashing import KnownDigests


class Update:
    """One unit that arrived, laid over the objects it stands for.

    `tracked` are the changeable objects of what arrived and `tokens` their numbers; where a number means an object
    of the same kind here, that object takes the new content and the new one is dropped. Objects that `stays` accepts
    are this side's own and are left alone.
    """

    def __init__(
        self,
        tracked: Sequence[Any],
        tokens: Sequence[int],
        identities: Identities,
        digests: KnownDigests,
        *,
        stays: Callable[[object], bool],
    ) -> None:
        self._digests = digests
        self._stays = stays
        self._targets: dict[int, Any] = {}
        self._new: dict[int, Any] = {}
        for value, token in zip(tracked, tokens, strict=True):
            old = identities.object_of(token)
            if old is not None and old is not value and _takes(old, value):
                self._targets[id(value)] = old
                self._new[id(value)] = value
        self._drop_laid_out_differently(tracked, Kind.ARRAY, arrays.spot)
        self._drop_laid_out_differently(tracked, Kind.TENSOR, tensors.spot)

    def apply(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write everything that has a place here, and return the values with those places in them."""
        if not self._targets:
            return dict(values)
        writes = self._collect([*values.values(), *self._new.values()])
        result = {name: self.resolve(value) for name, value in values.items()}
        # What hashes by its attributes must have them before it becomes a key or a member of a set.
        for _, value, kind in sorted(writes, key=lambda write: write[0]):
            _WRITERS[kind](self._targets.get(id(value), value), value, self)
        return result

    def place_of(self, value: Any) -> Any:
        """Return the object that stands here for one that arrived."""
        return self._targets.get(id(value), value)

    def resolve(self, value: Any) -> Any:
        """Return what a reference to an object that arrived becomes."""
        found = self._targets.get(id(value))
        if found is not None:
            return found
        kind = type(value)
        if kind is tuple:
            return _rebuilt(value, [self.resolve(item) for item in value], tuple)
        if kind is frozenset:
            return _rebuilt(value, [self.resolve(item) for item in value], frozenset)
        if kind is MethodType:
            owner, function = self.resolve(value.__self__), self.resolve(value.__func__)
            return value if owner is value.__self__ and function is value.__func__ else MethodType(function, owner)
        if isinstance(value, tuple) and hasattr(kind, "_make"):
            return _rebuilt(value, [self.resolve(item) for item in value], kind._make)
        return value

    def resolve_all(self, values: Iterable[Any]) -> list[Any]:
        """Resolve every reference of a container."""
        return [value if type(value) in walk.ATOMS else self.resolve(value) for value in values]

    def learn(self, old: Any, new: Any) -> None:
        """Remember that an array's memory now has the digest of the buffer it was copied from."""
        if old.flags.c_contiguous and new.flags.c_contiguous:
            digest = self._digests.at(arrays.start(new), new.nbytes)
            if digest is not None:
                self._digests.learn(arrays.start(old), old.nbytes, digest)

    def _collect(self, roots: list[Any]) -> list[tuple[int, Any, Kind]]:
        writes: list[tuple[int, Any, Kind]] = []
        # What is here already is never walked, except where what arrived refers to it as such.
        seen = {id(old) for old in self._targets.values()}
        queue = deque(roots)
        while queue:
            value = queue.popleft()
            kind = walk.kind_of(type(value))
            if kind in _LEAVES or id(value) in seen or self._stays(value):
                continue
            seen.add(id(value))
            inside = walk.members(value, kind)
            if kind in _WRITERS and self._must_write(value, inside):
                writes.append((_ORDER.get(kind, 1), value, kind))
            queue.extend(inside)
        return writes

    def _must_write(self, value: Any, inside: list[Any]) -> bool:
        return id(value) in self._targets or any(self.resolve(item) is not item for item in inside)

    def _drop_laid_out_differently(self, tracked: Sequence[Any], kind: Kind, spot: Callable[[Any], Spot]) -> None:
        """Let arrays or tensors be new where old and new do not share memory in the same way."""
        groups: dict[int, list[tuple[Any, Spot, Spot | None]]] = {}
        for value in tracked:
            if walk.kind_of(type(value)) is kind:
                new, old = spot(value), self._targets.get(id(value))
                groups.setdefault(new.owner, []).append((value, new, None if old is None else spot(old)))
        taken: dict[int, int] = {}
        for group in groups.values():
            if not arrays.same_layout([(new, old) for _, new, old in group], taken):
                for value, _, _ in group:
                    self._targets.pop(id(value), None)


def _takes(old: Any, new: Any) -> bool:
    """Whether an old object can take a new one's content and stay itself."""
    kind = walk.kind_of(type(new))
    if type(old) is not type(new) or kind not in _WRITERS:
        return False
    check = _CHECKS.get(kind)
    return check is None or check(old, new)


def _rebuilt(value: Any, items: list[Any], make: Callable[[list[Any]], Any]) -> Any:
    return value if all(map(_is, items, value)) else make(items)


def _is(one: object, other: object) -> bool:
    return one is other


def _write_sequence(old: Any, new: Any, update: Update) -> None:
    items = update.resolve_all(new)
    if isinstance(old, deque):
        deque.clear(old)
        deque.extend(old, items)
    elif old is not new or not all(map(_is, items, new)):
        list.__setitem__(old, slice(None), items)
    _write_attributes(old, new, update)


def _write_mapping(old: Any, new: Any, update: Update) -> None:
    base: Any = OrderedDict if isinstance(old, OrderedDict) else dict
    keys, values = update.resolve_all(base.keys(new)), update.resolve_all(base.values(new))
    base.clear(old)
    for key, value in zip(keys, values, strict=True):
        base.__setitem__(old, key, value)
    if isinstance(old, defaultdict):
        old.default_factory = update.resolve(new.default_factory)
    _write_attributes(old, new, update)


def _write_set(old: Any, new: Any, update: Update) -> None:
    items = update.resolve_all(new)
    set.clear(old)
    set.update(old, items)
    _write_attributes(old, new, update)


def _write_bytes(old: Any, new: Any, update: Update) -> None:
    del update
    if old is not new:
        old[:] = new


def _write_array(old: Any, new: Any, update: Update) -> None:
    if new.dtype == object:
        flat = new.reshape(-1)
        for index, value in enumerate(update.resolve_all(new.ravel().tolist())):
            flat[index] = value
    if old is not new:
        sys.modules["numpy"].copyto(old, new)
        update.learn(old, new)


def _write_frame(old: Any, new: Any, update: Update) -> None:
    del update
    if old is not new:
        old._update_inplace(new)
        old.attrs = new.attrs


def _write_tensor(old: Any, new: Any, update: Update) -> None:
    if old is not new:
        with sys.modules["torch"].no_grad():
            old.copy_(new)
        old.requires_grad_(new.requires_grad)
    old.grad = update.resolve(new.grad)
    _write_attributes(old, new, update)


def _write_function(old: FunctionType, new: FunctionType, update: Update) -> None:
    for name in ("__code__", "__doc__", "__name__", "__qualname__", "__annotations__"):
        setattr(old, name, getattr(new, name))
    old.__defaults__ = update.resolve(new.__defaults__)
    keywords = new.__kwdefaults__
    old.__kwdefaults__ = keywords and {name: update.resolve(value) for name, value in keywords.items()}
    _write_attributes(old, new, update)


def _write_cell(old: Any, new: Any, update: Update) -> None:
    content = cell_content(new)
    set_cell(old, (content[0], *map(update.resolve, content[1:])))


def _write_attributes(old: Any, new: Any, update: Update) -> None:
    own = getattr(new, "__dict__", None)
    if own is not None:
        fresh = {name: update.resolve(value) for name, value in own.items()}
        old.__dict__.clear()
        old.__dict__.update(fresh)
    for name in walk.slots_of(type(new)):
        _write_slot(old, new, name, update)


def _write_slot(old: Any, new: Any, name: str, update: Update) -> None:
    try:
        object.__setattr__(old, name, update.resolve(object.__getattribute__(new, name)))
    except AttributeError:
        if hasattr(old, name):
            object.__delattr__(old, name)


def _instance_takes(old: Any, new: Any) -> bool:
    """Whether attributes are all there is; an extension's own fields could not be written."""
    del new
    kind = type(old)
    fields = len(walk.slots_of(kind)) + 2  # __dict__ and __weakref__
    return kind.__basicsize__ <= object.__basicsize__ + fields * _POINTER_BYTES


def _array_takes(old: Any, new: Any) -> bool:
    exact = type(old) is walk.library_class("numpy", "ndarray")
    return exact and _same_array_kind(old, new)


def _same_array_kind(old: Any, new: Any) -> bool:
    return bool(old.dtype == new.dtype and old.shape == new.shape and old.flags.writeable and new.flags.writeable)


def _tensor_takes(old: Any, new: Any) -> bool:
    same = old.dtype == new.dtype and old.shape == new.shape and old.layout == new.layout
    return bool(same and old.device == new.device and tensors.can_be_written(old))


def _frame_takes(old: Any, new: Any) -> bool:
    del new
    return hasattr(old, "_update_inplace") and hasattr(old, "_mgr")


def _function_takes(old: FunctionType, new: FunctionType) -> bool:
    return old.__code__.co_freevars == new.__code__.co_freevars


_POINTER_BYTES: Final = struct.calcsize("P")
_LEAVES: Final = frozenset({Kind.ATOM, Kind.FOREIGN})
_ORDER: Final = {Kind.INSTANCE: 0, Kind.SET: 2, Kind.MAPPING: 2}
_WRITERS: Final[dict[Kind, Callable[[Any, Any, Update], None]]] = {
    Kind.SEQUENCE: _write_sequence,
    Kind.MAPPING: _write_mapping,
    Kind.SET: _write_set,
    Kind.BYTES: _write_bytes,
    Kind.ARRAY: _write_array,
    Kind.FRAME: _write_frame,
    Kind.TENSOR: _write_tensor,
    Kind.FUNCTION: _write_function,
    Kind.CELL: _write_cell,
    Kind.INSTANCE: _write_attributes,
}
_CHECKS: Final[dict[Kind, Callable[[Any, Any], bool]]] = {
    Kind.ARRAY: _array_takes,
    Kind.INSTANCE: _instance_takes,
    Kind.TENSOR: _tensor_takes,
    Kind.FRAME: _frame_takes,
    Kind.FUNCTION: _function_takes,
}
