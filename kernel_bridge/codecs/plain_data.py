"""Plain data from a runtime one does not trust: a pickle that can build values and call nothing.

The far side writes only what this module knows; this side reads with an unpickler that knows only this module, and
checks every step itself, because the far side may write anything. A pickle is a program; what is left of it here are
its instructions for builtin containers and atoms, and calls of the constructors of `data_values` and `data_frames`.
There is no instruction left that sets attributes, makes an instance of a class it names, or reads a global.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, ClassVar, Final

from kernel_bridge.codecs import data_arrays, data_classes, data_frames, data_values
from kernel_bridge.codecs.arrays import Memory
from kernel_bridge.codecs.kinds import NotData, kind_of
from kernel_bridge.codecs.pickler import REFERENCE, NotebookPickler, Packed, References, pack
from kernel_bridge.errors import CannotTravel

_ONLY_DATA: Final = "only plain data comes home with trust=data"
_CONSTRUCTORS: Final = {**data_values.CONSTRUCTORS, **data_arrays.CONSTRUCTORS, **data_frames.CONSTRUCTORS}
_GROWN: Final[dict[str, tuple[type, ...]]] = {
    "append": (list, deque),
    "appends": (list, deque),
    "setitem": (dict, OrderedDict, defaultdict, Counter),
    "setitems": (dict, OrderedDict, defaultdict, Counter),
    "additems": (set,),
}


def pack_data(value: object, namespace: MutableMapping[str, Any], references: References) -> Packed:
    """Pickle a value as plain data; raises CannotTravel for what is none."""
    return pack(value, namespace, references, Memory(), kind=_DataPickler)


def unpack_data(
    data: bytes | memoryview,
    buffers: Iterable[memoryview | bytes],
    namespace: MutableMapping[str, Any],
    references: References,
) -> Any:
    """Build what `pack_data` pickled; nothing in it is executed. Raises CannotTravel for anything else."""
    try:
        return _DataUnpickler(data, buffers, namespace, references).load()
    except CannotTravel:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the far side wrote
        raise NotData(f"it is no plain data: {type(error).__name__}: {error}") from None


def CALL(name: str, state: object) -> None:  # noqa: N802 - a name inside the pickle, never called
    """Stand for the constructor of that name."""


class _DataPickler(NotebookPickler):
    """Writes what the other side's `_DataUnpickler` reads."""

    def reducer_override(self, obj: Any) -> Any:
        """Say how one object that is not a plain builtin is built; raises NotData for what is more than data."""
        if obj is CALL or obj is REFERENCE:
            return NotImplemented
        reference = self.references.refer(obj)
        if reference is not None:
            return REFERENCE, reference
        reduced = data_values.reduce(obj) or data_arrays.reduce(obj) or data_frames.reduce(obj)
        reduced = reduced or data_classes.reduce(obj, self.namespace)
        if reduced is None:
            raise NotData(f"{_described(obj)}; {_ONLY_DATA}")
        name, state, *items = reduced
        return CALL, (name, state), None, *items

    def persistent_id(self, obj: Any) -> Any:
        return self.references.refer(obj)


_InPython: Any = pickle._Unpickler  # typeshed has it as an alias of the one in C


class _DataUnpickler(_InPython):  # type: ignore[misc]
    """Python's own unpickler in Python, with most of its instructions taken out."""

    def __init__(
        self,
        data: bytes | memoryview,
        buffers: Iterable[memoryview | bytes],
        namespace: MutableMapping[str, Any],
        references: References,
    ) -> None:
        super().__init__(io.BytesIO(data), buffers=buffers)
        self._namespace = namespace
        self._references = references

    def find_class(self, module: str, name: str, /) -> Any:
        """Return what stands for one of our three names; raises NotData for every other."""
        if (module, name) == (__name__, CALL.__name__):
            return _Callable(self._build)
        if (module, name) == (NotebookPickler.__module__, REFERENCE.__name__):
            return _Callable(self._refer)
        if module == NotebookPickler.__module__ and name in {"NAMESPACE", "BUILTINS"}:
            return None  # every pickle begins with them, and no data refers to them
        raise NotData(f"it names {module}.{name}, which was not run here; {_ONLY_DATA}")

    def persistent_load(self, pid: Any) -> Any:
        """Return this side's object for a reference."""
        return self._refer(*pid)

    def _build(self, name: Any, state: Any) -> Any:
        if type(name) is not str:
            raise NotData(f"it calls a {type(name).__name__}")
        if name in data_classes.CONSTRUCTORS:
            return data_classes.CONSTRUCTORS[name](self._namespace, state)
        build = _CONSTRUCTORS.get(name)
        if build is None:
            raise NotData(f"{name!r:.80} is nothing that can be built")
        return build(state)

    def _refer(self, kind: Any, details: Any) -> Any:
        if type(kind) is not str or type(details) is not dict:
            raise NotData("a reference is broken")
        return self._references.find(kind, details)

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if type(function) is not _Callable or type(arguments) is not tuple:
            raise NotData(f"it calls a {type(function).__name__}")
        self.stack[-1] = function.run(*arguments)

    def _checked(self, instruction: str, target: Any) -> None:
        if type(target) not in _GROWN[instruction]:
            raise NotData(f"it puts items into a {type(target).__name__}")

    def load_append(self) -> None:
        self._checked("append", self.stack[-2])
        super().load_append()

    def load_appends(self) -> None:
        self._checked("appends", self.metastack[-1][-1])
        super().load_appends()

    def load_setitem(self) -> None:
        self._checked("setitem", self.stack[-3])
        super().load_setitem()

    def load_setitems(self) -> None:
        self._checked("setitems", self.metastack[-1][-1])
        super().load_setitems()

    def load_additems(self) -> None:
        self._checked("additems", self.metastack[-1][-1])
        super().load_additems()

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {}  # filled below


class _Callable:
    """The only thing that can be called: it is no function, so that nothing can be set on it."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[..., Any]) -> None:
        self.run = run


def _described(obj: Any) -> str:
    if (known := kind_of(obj)) is not None:
        return known.told
    kind = obj if isinstance(obj, type) else type(obj)
    root = "" if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}."
    name = f"{root}{kind.__qualname__}"
    return f"the class {name}" if isinstance(obj, type) else f"a {name}"


def _refuse_instruction(unpickler: Any) -> None:
    raise NotData(f"it has an instruction that could run code, and was not run; {_ONLY_DATA}")


_ATOMS: Final = "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT".split()  # noqa: SIM905
_TEXTS: Final = "BINBYTES BINBYTES8 SHORT_BINBYTES BYTEARRAY8 BINUNICODE BINUNICODE8 SHORT_BINUNICODE".split()  # noqa: SIM905
_BOXES: Final = "EMPTY_LIST EMPTY_DICT EMPTY_SET EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 FROZENSET MARK".split()  # noqa: SIM905
_ORDER: Final = "PROTO FRAME STOP POP POP_MARK MEMOIZE BINGET LONG_BINGET BINPUT LONG_BINPUT".split()  # noqa: SIM905
_OTHERS: Final = "NEXT_BUFFER READONLY_BUFFER GLOBAL STACK_GLOBAL BINPERSID".split()  # noqa: SIM905
_CHECKED: Final = {
    "REDUCE": _DataUnpickler.load_reduce,
    "APPEND": _DataUnpickler.load_append,
    "APPENDS": _DataUnpickler.load_appends,
    "SETITEM": _DataUnpickler.load_setitem,
    "SETITEMS": _DataUnpickler.load_setitems,
    "ADDITEMS": _DataUnpickler.load_additems,
}
_STOCK: Final = _InPython.dispatch
_DataUnpickler.dispatch = dict.fromkeys(range(256), _refuse_instruction)
for _name in (*_ATOMS, *_TEXTS, *_BOXES, *_ORDER, *_OTHERS):
    _DataUnpickler.dispatch[getattr(pickle, _name)[0]] = _STOCK[getattr(pickle, _name)[0]]
for _name, _method in _CHECKED.items():
    _DataUnpickler.dispatch[getattr(pickle, _name)[0]] = _method
