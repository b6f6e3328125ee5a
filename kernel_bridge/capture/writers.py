"""How an object that is here takes the content of one that arrived: one writer for each kind, and when it can."""

from __future__ import annotations

import operator
import struct
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, Final, Protocol

from kernel_bridge.capture import states, walk
from kernel_bridge.capture.walk import Kind
from kernel_bridge.codecs import array_classes, tensors
from kernel_bridge.codecs.dispatching import implementations, is_dispatcher, register_all
from kernel_bridge.codecs.exceptions import causes, interpreter_base
from kernel_bridge.codecs.functions import cell_content, set_cell


class Resolver(Protocol):
    """What a writer asks about the objects inside what arrived."""

    def resolve(self, value: Any) -> Any:
        """Return what a reference to an object that arrived becomes."""

    def resolve_all(self, values: Iterable[Any]) -> list[Any]:
        """Resolve every reference of a container."""

    def learn(self, old: Any, new: Any) -> None:
        """Remember that an array's memory now has the digest of the buffer it was copied from."""


def takes(old: Any, new: Any) -> bool:
    """Whether an old object can take a new one's content and stay itself."""
    kind = walk.kind_of(type(new))
    if kind not in WRITERS or (type(old) is not type(new) and not _becomes(old, type(new))):
        return False
    check = _CHECKS.get(kind)
    return check is None or check(old, new)


def _write_sequence(old: Any, new: Any, update: Resolver) -> None:
    items = update.resolve_all(new)
    if isinstance(old, deque):
        deque.clear(old)
        deque.extend(old, items)
    elif old is not new or not all(map(operator.is_, items, new)):
        list.__setitem__(old, slice(None), items)
    _write_attributes(old, new, update)


def _write_mapping(old: Any, new: Any, update: Resolver) -> None:
    base: Any = OrderedDict if isinstance(old, OrderedDict) else dict
    keys, values = update.resolve_all(base.keys(new)), update.resolve_all(base.values(new))
    base.clear(old)
    for key, value in zip(keys, values, strict=True):
        base.__setitem__(old, key, value)
    if isinstance(old, defaultdict):
        old.default_factory = update.resolve(new.default_factory)
    _write_attributes(old, new, update)


def _write_set(old: Any, new: Any, update: Resolver) -> None:
    items = update.resolve_all(new)
    set.clear(old)
    set.update(old, items)
    _write_attributes(old, new, update)


def _write_bytes(old: Any, new: Any, update: Resolver) -> None:
    del update
    if old is not new:
        old[:] = new


def _write_array(old: Any, new: Any, update: Resolver) -> None:
    array_classes.take(old, new, update.resolve_all)
    if array_classes.has_own_attributes(new):
        _write_attributes(old, new, update)
    if old is not new:
        update.learn(old, new)


def _write_frame(old: Any, new: Any, update: Resolver) -> None:
    del update
    if old is not new:
        old._update_inplace(new)
        old.attrs = new.attrs
        for name in getattr(type(old), "_metadata", ()):  # a series' name among them
            object.__setattr__(old, name, getattr(new, name, None))


def _write_tensor(old: Any, new: Any, update: Resolver) -> None:
    if old is not new:
        with sys.modules["torch"].no_grad():
            old.copy_(new)
        old.requires_grad_(new.requires_grad)
    old.grad = update.resolve(new.grad)
    _write_attributes(old, new, update)


def _write_function(old: FunctionType, new: FunctionType, update: Resolver) -> None:
    for name in ("__code__", "__doc__", "__name__", "__qualname__", "__annotations__"):
        setattr(old, name, getattr(new, name))
    old.__defaults__ = update.resolve(new.__defaults__)
    keywords = new.__kwdefaults__
    old.__kwdefaults__ = keywords and {name: update.resolve(value) for name, value in keywords.items()}
    if is_dispatcher(old) and is_dispatcher(new):  # its attributes are its own machinery
        register_all(old, {kind: update.resolve(call) for kind, call in implementations(new).items()})
    else:
        _write_attributes(old, new, update)


def _write_class(old: type, new: type, update: Resolver) -> None:
    for name, value in list(vars(new).items()):
        found = update.resolve(value)
        if found is not value:
            type.__setattr__(old, name, found)


def _write_cell(old: Any, new: Any, update: Resolver) -> None:
    content = cell_content(new)
    set_cell(old, (content[0], *map(update.resolve, content[1:])))


def _write_state(old: Any, new: Any, update: Resolver) -> None:
    states.take(old, new, update.resolve)
    _write_attributes(old, new, update)


def _write_instance(old: Any, new: Any, update: Resolver) -> None:
    if type(old) is not type(new):
        object.__setattr__(old, "__class__", type(new))
    if isinstance(new, BaseException):
        old.args = update.resolve(new.args)
        for name, cause in causes(new).items():
            setattr(old, name, update.resolve(cause))
    _write_attributes(old, new, update)


def _write_attributes(old: Any, new: Any, update: Resolver) -> None:
    own = getattr(new, "__dict__", None)
    if own is not None:
        fresh = {name: update.resolve(value) for name, value in own.items()}
        old.__dict__.clear()
        old.__dict__.update(fresh)
    for name in walk.slots_of(type(new)):
        _write_slot(old, new, name, update)


def _write_slot(old: Any, new: Any, name: str, update: Resolver) -> None:
    try:
        object.__setattr__(old, name, update.resolve(object.__getattribute__(new, name)))
    except AttributeError:
        if hasattr(old, name):
            object.__delattr__(old, name)


def _instance_takes(old: Any, new: Any) -> bool:
    """Whether attributes are all there is; an extension's own fields could not be written."""
    del new
    kind = type(old)
    if issubclass(kind, BaseException):
        return interpreter_base(kind).__basicsize__ == _ERROR_BYTES
    fields = len(walk.slots_of(kind)) + 2  # __dict__ and __weakref__
    return kind.__basicsize__ <= object.__basicsize__ + fields * _POINTER_BYTES


def _becomes(old: Any, kind: type) -> bool:
    """Whether an instance can be made one of another class, as by assigning its `__class__`."""
    former = type(old)
    if walk.kind_of(former) is not Kind.INSTANCE or walk.kind_of(kind) is not Kind.INSTANCE:
        return False
    try:
        object.__setattr__(old, "__class__", kind)
        object.__setattr__(old, "__class__", former)
    except TypeError:
        return False
    return True


def _tensor_takes(old: Any, new: Any) -> bool:
    same = old.dtype == new.dtype and old.shape == new.shape and old.layout == new.layout
    return bool(same and old.device == new.device and tensors.can_be_written(old))


def _frame_takes(old: Any, new: Any) -> bool:
    del new
    return hasattr(old, "_update_inplace") and hasattr(old, "_mgr")


def _function_takes(old: FunctionType, new: FunctionType) -> bool:
    return old.__code__.co_freevars == new.__code__.co_freevars


_ERROR_BYTES: Final = BaseException.__basicsize__
_POINTER_BYTES: Final = struct.calcsize("P")
WRITERS: Final[dict[Kind, Callable[[Any, Any, Resolver], None]]] = {
    Kind.SEQUENCE: _write_sequence,
    Kind.MAPPING: _write_mapping,
    Kind.SET: _write_set,
    Kind.BYTES: _write_bytes,
    Kind.ARRAY: _write_array,
    Kind.FRAME: _write_frame,
    Kind.TENSOR: _write_tensor,
    Kind.FUNCTION: _write_function,
    Kind.CELL: _write_cell,
    Kind.CLASS: _write_class,
    Kind.INSTANCE: _write_instance,
    Kind.STATE: _write_state,
}
_CHECKS: Final[dict[Kind, Callable[[Any, Any], bool]]] = {
    Kind.ARRAY: array_classes.can_take,
    Kind.CLASS: lambda old, new: False,  # a class is the same one on both sides, or another
    Kind.INSTANCE: _instance_takes,
    Kind.STATE: states.can_take,
    Kind.TENSOR: _tensor_takes,
    Kind.FRAME: _frame_takes,
    Kind.FUNCTION: _function_takes,
}
