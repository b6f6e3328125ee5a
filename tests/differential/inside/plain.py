"""What Python's own objects are: containers, functions, classes, instances and what has a state of its own."""

from __future__ import annotations

import copyreg
import types
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from tests.differential.inside.shape import (
    ATOMS,
    Describe,
    Said,
    Shape,
    atom,
    belongs_to_a_library,
    digest,
    items,
    type_name,
)

FUNCTIONS: Final = frozenset({types.FunctionType})
# Made by the interpreter or a library for itself, or different from one definition of a class to the next.
_NOT_MEMBERS: Final = frozenset(
    {"__dict__", "__weakref__", "_abc_impl", "__abstractmethods__", "__firstlineno__", "__static_attributes__",
     "__classcell__", "__annotate__", "__annotate_func__", "__annotations_cache__", "_member_names_", "__slotnames__",
     "_value2member_map_", "_hashable_values_", "_unhashable_values_", "_unhashable_values_map_", "__class_getitem__"}
)  # fmt: skip


def instance(value: Any) -> Shape:
    """Describe an object that is nothing special: its type here, its attributes later.

    A library's object that says itself what a copy of it needs is told by that: the rest it works out again.
    """
    kind = type(value)
    if not _reduces(kind) or not belongs_to_a_library(kind):
        return Shape(type_name(kind))
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return Shape(f"{type_name(kind)} {reduced}", alone=True)
    made, arguments, *state = reduced
    parts = [part for part in state if isinstance(part, dict | list | tuple)][:1]
    text = f"{type_name(kind)} by {belongs_to_a_library(made) or type_name(type(made))}"
    return Shape(text, [(".made of", arguments), *((".state", part) for part in parts)], attributes=False)


def attributes(value: Any) -> list[tuple[str, Any]]:
    """Return what an object's `__dict__` and slots hold; no property and no `__getattr__` is called."""
    own = getattr(value, "__dict__", None)
    found = [(f".{name}", part) for name, part in own.items()] if isinstance(own, dict) else []
    for name in _slots(type(value)):
        try:
            found.append((f".{name}", object.__getattribute__(value, name)))
        except AttributeError:
            continue
    return found


def class_of(value: Any) -> list[tuple[str, Any]]:
    """Return the class as a part where the notebook made it: an old instance may have an old one."""
    kind = type(value)
    return [] if kind.__module__ == "builtins" or belongs_to_a_library(kind) else [(".__class__", kind)]


def _slots(kind: type) -> list[str]:
    if kind.__module__ == "builtins" or not any("__slots__" in vars(base) for base in kind.__mro__):
        return []
    names = copyreg._slotnames(kind)  # type: ignore[attr-defined]
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _reduces(kind: type) -> bool:
    own = ("__reduce__", "__reduce_ex__", "__getstate__")
    return kind in copyreg.dispatch_table or any(
        getattr(kind, name, None) is not getattr(object, name, None) for name in own
    )


def _sequence(value: Any) -> Shape:
    base = next(base for base in (list, tuple) if isinstance(value, base))
    found = items(base.__iter__(value))
    return Shape(f"{type_name(type(value))} of {base.__len__(value)}", found, alone=base is tuple)


def _deque(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))} of {len(value)}, at most {value.maxlen}", items(value))


def _set(value: Any) -> Shape:
    """Describe a set: its order says nothing, it depends on the process."""
    base = next(base for base in (set, frozenset) if isinstance(value, base))
    found = sorted(base.__iter__(value), key=_rank)
    return Shape(f"{type_name(type(value))} of {len(found)}", items(found), alone=base is frozenset)


def _rank(value: Any) -> str:
    if isinstance(value, tuple | frozenset):
        parts = map(_rank, value)
        return f"{type_name(type(value))} {' '.join(sorted(parts) if isinstance(value, frozenset) else parts)}"
    if type(value) in ATOMS:
        return repr(value)
    name = getattr(value, "name", getattr(value, "__qualname__", ""))
    return f"{type_name(type(value))} {name if isinstance(name, str) else ''}"


def _mapping(value: Any) -> Shape:
    base = OrderedDict if isinstance(value, OrderedDict) else dict  # which keeps an order of its own
    pairs = list(base.items(value)) if isinstance(value, dict) else list(value.items())
    text = f"{type_name(type(value))} of {len(pairs)}"
    parts = [part for index, pair in enumerate(pairs) for part in _pair(index, *pair)]
    if hasattr(value, "default_factory"):
        parts.append((".default_factory", value.default_factory))
    return Shape(text, parts)


def _pair(index: int, key: Any, value: Any) -> list[tuple[str, Any]]:
    if key == "__builtins__":  # `exec` put them there
        return [("['__builtins__']", Said("builtins"))]
    if type(key) in ATOMS:
        return [(f"[{atom(key)}]", value)]
    return [(f".key {index}", key), (f".value {index}", value)]


def _function(value: Any) -> Shape:
    if name := belongs_to_a_library(value):
        return Shape(f"function {name}", alone=True, attributes=False)
    parts: list[tuple[str, Any]] = [
        (f".{name}", getattr(value, name)) for name in ("__name__", "__qualname__", "__module__", "__doc__")
    ]
    parts += [
        (f".{name}", getattr(value, name))
        for name in ("__defaults__", "__kwdefaults__", "__annotations__", "__type_params__")
        if getattr(value, name, None)
    ]
    parts += [
        (f".closure {name}", cell)
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
    ]
    return Shape(f"function, code {_code_digest(value.__code__)}", parts)


def _code_digest(code: types.CodeType) -> str:
    """Hash what a function does; not where it stands, since the line of `%%gpu` moves that."""
    constants = [_code_digest(part) if isinstance(part, types.CodeType) else _constant(part) for part in code.co_consts]
    what = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_argcount)
    more = (code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, code.co_name, code.co_exceptiontable)
    return digest(repr((code.co_code, constants, what, more)))


def _constant(value: Any) -> str:
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"tuple {[_constant(part) for part in value]}"
    return repr(value)


def _cell(value: types.CellType) -> Shape:
    try:
        return Shape("cell", [("", value.cell_contents)])
    except ValueError:
        return Shape("empty cell")


def _class(value: type) -> Shape:
    if value.__module__ == "builtins" or belongs_to_a_library(value):
        return Shape(f"class {type_name(value)}", alone=True)
    parts: list[tuple[str, Any]] = [(f".base {index}", base) for index, base in enumerate(value.__bases__)]
    if type(value) is not type:
        parts.append((".metaclass", type(value)))
    # Sorted: a class is made anew from its members, and what orders fields or members of an enum is a value of its own.
    for name, member in sorted(vars(value).items()):
        if _is_own(value, name, member) and type(member) not in _DESCRIPTORS_OF_C:
            parts.append((f".{name}", member))
    return Shape(f"class {value.__qualname__}", parts)


def _is_own(value: type, name: str, member: Any) -> bool:
    """Tell whether a member is the notebook's doing and is not what would be inherited without it."""
    if name == "__hash__" and member is None:
        return value.__base__ is not None and value.__base__.__hash__ is not None
    return name not in _NOT_MEMBERS and not name.startswith("__pydantic_")


_DESCRIPTORS_OF_C: Final = frozenset({types.GetSetDescriptorType, types.MemberDescriptorType})


def _attributes(*names: str, alone: bool = False, more: bool = False) -> Describe:
    """Describe an object by some of its attributes."""

    def describe(value: Any) -> Shape:
        parts = [(f".{name}", getattr(value, name)) for name in names]
        return Shape(type_name(type(value)), parts, alone=alone, attributes=more)

    return describe


def _written(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))} {atom(value)}", alone=True, attributes=False)


def _only_type(value: Any) -> Shape:
    return Shape(type_name(type(value)), attributes=False)


def _builtin(value: Any) -> Shape:
    owner = value.__self__
    if owner is None or isinstance(owner, types.ModuleType):
        return Shape(f"function {value.__module__}.{value.__qualname__}", alone=True)
    return Shape(f"method {value.__name__}", [(".__self__", owner)], alone=True)


def _enum(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))} {value._name_}", [(".value", value._value_)], attributes=False)


def _bytes(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))} {atom(bytes(value))}")


def _exception(value: BaseException) -> Shape:
    cause = [(".__cause__", value.__cause__)] if value.__cause__ is not None else []
    own = [(f".{name}", part) for name, part in vars(value).items() if name not in _NOT_EXCEPTIONS]
    return Shape(type_name(type(value)), [(".args", value.args), *cause, *own], attributes=False)


# How the exception is shown: what comes home shows the container's lines.
_NOT_EXCEPTIONS: Final = frozenset({"_render_traceback_"})


def _generator(value: Any) -> Shape:
    frame = next(
        (found for name in ("gi_frame", "cr_frame", "ag_frame") if (found := getattr(value, name, None))), None
    )
    if frame is None:
        return Shape(f"{type(value).__name__} {value.__qualname__}, at its end")
    parts = [(f".local {name}", part) for name, part in frame.f_locals.items()]
    return Shape(f"{type(value).__name__} {value.__qualname__} at {frame.f_lasti}", parts)


def _file(value: Any) -> Shape:
    if value.closed:
        return Shape(f"{type_name(type(value))}, closed", attributes=False)
    if hasattr(value, "getvalue"):
        return Shape(
            type_name(type(value)), [(".value", value.getvalue()), (".position", value.tell())], attributes=False
        )
    parts = [(f".{name}", getattr(value, name, None)) for name in ("name", "mode", "encoding")]
    return Shape(type_name(type(value)), parts, attributes=False)


def _weak(value: Any) -> Shape:
    return Shape("weakref", [(".target", value())])


def _cached(value: Any) -> Shape:
    """Describe `functools.lru_cache`'s work; what it holds does not travel, which costs time and nothing else."""
    return Shape(
        "lru_cache", [(".__wrapped__", value.__wrapped__), (".parameters", value.cache_parameters())], attributes=False
    )


def _context_variable(value: Any) -> Shape:
    return Shape(f"ContextVar {value.name}", [(".value", value.get(None))], attributes=False)


def _future(value: Any) -> Shape:
    if not value.done() or value.cancelled():
        return Shape(f"{type_name(type(value))}, {'cancelled' if value.done() else 'not done'}", attributes=False)
    error = value._exception
    return Shape(f"{type_name(type(value))}, done", [(".outcome", error or value._result)], attributes=False)


def _thread(value: Any) -> Shape:
    return Shape(f"{type_name(type(value))}, {'alive' if value.is_alive() else 'over'}", attributes=False)


def _lock(value: Any) -> Shape:
    return Shape(
        f"{type_name(type(value))} {'locked' if getattr(value, 'locked', bool)() else ''}".strip(), attributes=False
    )


def _handle(value: Any) -> Shape:
    return Shape("a handle: the value stayed remote", attributes=False)


def _view(value: Mapping[Any, Any]) -> Shape:
    return Shape("mappingproxy", _mapping(dict(value)).parts, alone=True)


DESCRIBED: Final[dict[str, Describe]] = {
    "list": _sequence,
    "tuple": _sequence,
    "collections.deque": _deque,
    "set": _set,
    "frozenset": _set,
    "dict": _mapping,
    "mappingproxy": _view,
    "collections.ChainMap": _attributes("maps"),
    "function": _function,
    "method": _attributes("__self__", "__func__", alone=True),
    "builtin_function_or_method": _builtin,
    "method_descriptor": _written,
    "wrapper_descriptor": _written,
    "cell": _cell,
    "type": _class,
    "property": _attributes("fget", "fset", "fdel", "__doc__"),
    "staticmethod": _attributes("__func__"),
    "classmethod": _attributes("__func__"),
    "functools.partial": _attributes("func", "args", "keywords", more=True),
    "functools._lru_cache_wrapper": _cached,
    "functools.singledispatch": _only_type,
    "module": lambda value: Shape(f"module {value.__name__}", alone=True, attributes=False),
    "code": lambda value: Shape(f"code {_code_digest(value)}", alone=True),
    "enum.Enum": _enum,
    "int": lambda value: Shape(f"{type_name(type(value))} {int.__repr__(value)}"),
    "float": lambda value: Shape(f"{type_name(type(value))} {float.__repr__(value)}"),
    "str": lambda value: Shape(f"{type_name(type(value))} {str.__repr__(value)}"),
    "bytes": lambda value: Shape(f"{type_name(type(value))} {bytes.__repr__(value)}"),
    "bytearray": _bytes,
    "array.array": lambda value: Shape(f"array {value.typecode}", items(value)),
    "memoryview": lambda value: Shape(f"memoryview {value.format} {value.shape}", [(".bytes", value.tobytes())]),
    "range": _written,
    "slice": _written,
    "re.Pattern": _written,
    "BaseException": _exception,
    "traceback": _only_type,
    "frame": _only_type,
    "generator": _generator,
    "coroutine": _generator,
    "async_generator": _generator,
    "_io._IOBase": _file,
    "weakref.ReferenceType": _weak,
    "weakref.WeakKeyDictionary": _only_type,
    "weakref.WeakValueDictionary": _only_type,
    "_weakrefset.WeakSet": _only_type,
    "_contextvars.ContextVar": _context_variable,
    "_asyncio.Future": _future,
    "asyncio.events.AbstractEventLoop": _only_type,
    "concurrent.futures._base.Future": _future,
    "threading.Thread": _thread,
    "_thread.lock": _lock,
    "_thread.RLock": _lock,
    "socket.socket": _only_type,
    "subprocess.Popen": _only_type,
    "logging.Logger": lambda value: Shape(f"logger {value.name} at {value.level}", attributes=False),
    "logging.Handler": _only_type,
    "random.Random": lambda value: Shape(type_name(type(value)), [(".state", Said(digest(repr(value.getstate()))))]),
    "datetime.date": _written,
    "datetime.time": _written,
    "datetime.timedelta": _written,
    "datetime.tzinfo": _written,
    "decimal.Decimal": _written,
    "fractions.Fraction": _written,
    "pathlib.PurePath": _written,
    "uuid.UUID": _written,
    "itertools.count": _written,
    "typing.TypeVar": _written,
    "types.GenericAlias": _written,
    "types.UnionType": _written,
    "typing._GenericAlias": _written,
    "typing._SpecialForm": _written,
    "kernel_bridge.capture.handle.Handle": _handle,
}
