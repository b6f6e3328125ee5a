"""Bring objects that are here already up to date with what arrived, so that other references to them see it."""

from __future__ import annotations

import operator
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import BuiltinMethodType, MethodType
from typing import Any, Final

from kernel_bridge.capture import walk
from kernel_bridge.capture.identities import Identities
from kernel_bridge.capture.views import array_over, tensor_over
from kernel_bridge.capture.walk import Kind
from kernel_bridge.capture.writers import WRITERS, takes
from kernel_bridge.codecs import arrays, tensors
from kernel_bridge.codecs.arrays import Spot
from kernel_bridge.codecs.hashing import KnownDigests
from kernel_bridge.codecs.loggers import standard_streams


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
        self._tuples: dict[int, Any] = {}  # those that are here: they stay if nothing in them is another object
        self._resolved: dict[int, Any] = {}
        before = ((value, identities.object_of(token)) for value, token in zip(tracked, tokens, strict=True))
        self._before = [(value, old) for value, old in before if old is not None and old is not value]
        for value, old in self._before:
            if isinstance(value, tuple):
                self._tuples[id(value)] = old
            elif takes(old, value):
                self._targets[id(value)] = old
                self._new[id(value)] = value
        self._match_layouts(tracked, Kind.ARRAY, arrays.spot, array_over)
        self._match_layouts(tracked, Kind.TENSOR, tensors.spot, tensor_over)

    def apply(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write everything that has a place here, and return the values with those places in them."""
        if not self._targets and not self._tuples:
            return dict(values)
        writes = self._collect([*values.values(), *self._new.values()])
        result = {name: self.resolve(value) for name, value in values.items()}
        # What hashes by its attributes must have them before it becomes a key or a member of a set.
        for _, value, kind in sorted(writes, key=lambda write: write[0]):
            WRITERS[kind](self._targets.get(id(value), value), value, self)
        self._mend_classes()
        return result

    def _mend_classes(self) -> None:
        """Let the notebook's classes hold what stands here: an instance of theirs may be an attribute of theirs."""
        for kind in {type(value) for value in self._new.values() if type(value).__module__ == "__main__"}:
            for name, member in list(vars(kind).items()):
                place = self._targets.get(id(member), member)
                if place is not member:
                    type.__setattr__(kind, name, place)

    def replaced(self) -> dict[int, Any]:
        """Return what is now in the place of objects that could not take what arrived, by their ids."""
        pairs = ((old, self.resolve(value)) for value, old in self._before)
        return {id(old): value for old, value in pairs if value is not old}

    def place_of(self, value: Any) -> Any:
        """Return the object that stands here for one that arrived."""
        return self.resolve(value)

    def resolve(self, value: Any) -> Any:
        """Return what a reference to an object that arrived becomes."""
        found = self._targets.get(id(value))
        if found is not None:
            return found
        kind = type(value)
        if kind is tuple or kind is frozenset:
            return self._resolve_frozen(value, kind)
        if kind is MethodType:
            owner, function = self.resolve(value.__self__), self.resolve(value.__func__)
            return value if owner is value.__self__ and function is value.__func__ else MethodType(function, owner)
        if kind is weakref.ref:
            target = self.resolve(value())
            return value if target is value() else weakref.ref(target, value.__callback__)
        if kind is BuiltinMethodType:
            owner = self.resolve(value.__self__)
            return value if owner is value.__self__ else getattr(owner, value.__name__)
        if isinstance(value, tuple) and hasattr(kind, "_make"):
            return self._resolve_frozen(value, kind._make)
        return self._resolve_subclass(value, kind) if isinstance(value, tuple) else value

    def _resolve_frozen(self, value: Any, make: Callable[[list[Any]], Any]) -> Any:
        found = self._resolved.get(id(value))
        if found is None:
            items = [self.resolve(item) for item in value]
            old = self._tuples.get(id(value))
            if (
                old is not None
                and type(old) is type(value)
                and len(old) == len(items)
                and all(map(_is_same, items, old))
            ):
                found = old
            else:
                found = value if all(map(operator.is_, items, value)) else make(items)
            self._resolved[id(value)] = found
        return found

    def _resolve_subclass(self, value: Any, kind: type) -> Any:
        """Return a tuple with attributes, such as matplotlib's bars."""
        if id(value) in self._resolved:
            return self._resolved[id(value)]
        found = self._resolve_frozen(value, lambda items: tuple.__new__(kind, items))
        if isinstance(own := getattr(value, "__dict__", None), dict):
            found.__dict__.update({name: self.resolve(part) for name, part in own.items()})
        return found

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
        seen = {*map(id, self._targets.values()), *map(id, standard_streams())}
        queue = deque(roots)
        while queue:
            value = queue.popleft()
            kind = walk.kind_of(type(value))
            if kind in _LEAVES or id(value) in seen or self._stays(value):
                continue
            seen.add(id(value))
            inside = walk.members(value, kind)
            if kind in WRITERS and self._must_write(value, inside):
                writes.append((_ORDER.get(kind, 1), value, kind))
            queue.extend(inside)
        return writes

    def _must_write(self, value: Any, inside: list[Any]) -> bool:
        return id(value) in self._targets or any(self.resolve(item) is not item for item in inside)

    def _match_layouts(
        self, tracked: Sequence[Any], kind: Kind, spot: Callable[[Any], Spot], view_over: Callable[..., Any]
    ) -> None:
        """Let arrays or tensors be new where old and new do not share memory in the same way.

        A new view of memory that is here becomes a view of the memory here.
        """
        groups: dict[int, list[tuple[Any, Spot, Any]]] = {}
        for value in tracked:
            if walk.kind_of(type(value)) is kind:
                new = spot(value)
                groups.setdefault(new.owner, []).append((value, new, self._targets.get(id(value))))
        taken: dict[int, int] = {}
        for group in groups.values():
            whole = self._with_views(group, view_over)
            if not arrays.same_layout([(new, None if old is None else spot(old)) for _, new, old in whole], taken):
                for value, _, _ in group:
                    self._targets.pop(id(value), None)

    def _with_views(
        self, group: list[tuple[Any, Spot, Any]], view_over: Callable[..., Any]
    ) -> list[tuple[Any, Spot, Any]]:
        known = [(value, old) for value, _, old in group if old is not None]
        if not known or len(known) == len(group):
            return group
        whole = []
        for value, new, old in group:
            made = view_over(value, known) if old is None else old
            if made is None:
                return group
            whole.append((value, new, made))
        for value, _, made in whole:
            self._targets[id(value)] = made
            self._new[id(value)] = value
        return whole


def _is_same(one: object, other: object) -> bool:
    """Whether nobody can tell one from the other; floats can differ and be equal."""
    if one is other:
        return True
    if type(one) is tuple and type(other) is tuple:
        return len(one) == len(other) and all(map(_is_same, one, other))
    return type(one) is type(other) and type(one) in _COMPARED and one == other


_COMPARED: Final = frozenset({int, str, bytes, bool})
_LEAVES: Final = frozenset({Kind.ATOM, Kind.FOREIGN})
_ORDER: Final = {Kind.INSTANCE: 0, Kind.SET: 2, Kind.MAPPING: 2}
