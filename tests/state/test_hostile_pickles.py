"""Plain data from a runtime one does not trust (U13): what is data arrives, and nothing that arrives is run."""

from __future__ import annotations

import builtins
import collections
import copyreg
import datetime
import decimal
import fractions
import io
import os
import pathlib
import pickle
import subprocess
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from cloudpickle import cloudpickle as cloudpickle_module

from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.codecs import plain_data
from kernel_bridge.codecs.arrays import Memory
from kernel_bridge.codecs.pickler import pack
from kernel_bridge.codecs.plain_data import pack_data, unpack_data
from kernel_bridge.errors import CannotTravel


def home(value: object, names: dict[str, Any] | None = None) -> Any:
    """Take a value apart as a container does, and build it as the notebook does."""
    packed = pack_data(value, names or {}, ReferenceTable(session="far"))
    copies = [memoryview(bytearray(buffer)) for buffer in packed.buffers]
    return unpack_data(packed.pickle, copies, names or {}, ReferenceTable())


VALUES = [
    {"a": [1, 2.5, None, True, "x", b"y", bytearray(b"z"), {1, 2}, frozenset({3}), (4,), 10**40, -(10**40)]},
    [complex(1, 2), range(3), slice(1, 2), ..., decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=7)],
    [datetime.date(2026, 1, 2), datetime.time(3, 4), datetime.timedelta(5), datetime.UTC, pathlib.Path("a/b")],
    datetime.datetime(2026, 1, 2, 3, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1),
    [collections.OrderedDict(b=1, a=2), collections.Counter("aab"), collections.deque([1, 2], maxlen=2)],
    collections.defaultdict(list, {"a": [1]}),
    [np.float32(1.5), np.datetime64("2026-01-02", "s"), np.str_("x"), np.bool_(True)],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_data_comes_home_as_it_was(value: object) -> None:
    """Builtin containers, numbers, texts, dates and numpy's scalars are data."""
    back = home(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(100_000.0).reshape(100, 1000),
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.arange(10)[::2],
        np.zeros((0, 3)),
        np.array(5),
        np.array([("a", 1)], dtype=[("name", "U4"), ("n", "<i4")]),
        np.array(["2026-01-02"], dtype="M8[D]"),
        np.array([1, "a", None, [2]], dtype=object),
    ],
    ids=lambda array: f"{array.dtype.kind}{array.shape}",
)
def test_arrays_come_home_as_they_were(array: Any) -> None:
    """With their dtype, their shape and their order in memory, and writable."""
    back = home(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc
    assert back.tolist() == array.tolist()
    assert back.flags.writeable


def frames() -> list[Any]:
    """Return frames of every sort of column."""
    frame = pd.DataFrame(
        {
            "n": [1, 2, 3],
            "s": ["a", None, "c"],
            "c": pd.Categorical(["x", "y", "x"], ordered=True),
            "t": pd.date_range("2026-01-01", periods=3, tz="Europe/Berlin"),
            "i": pd.array([1, None, 3], dtype="Int64"),
            "b": [True, False, True],
        },
        index=pd.Index([10, 20, 30], name="key"),
    )
    several = frame.set_index([frame["n"], frame["s"]])
    return [frame, several[["i"]], frame.T, pd.DataFrame(), frame["t"], pd.Series([1.5], name="x"), frame.iloc[:0]]


@pytest.mark.parametrize("number", range(7))
def test_pandas_comes_home_as_it_was(number: int) -> None:
    """Columns of every sort, their names, the index and the attributes."""
    frame = frames()[number]
    frame.attrs["unit"] = "m"
    back = home(frame)
    same = pd.testing.assert_frame_equal if isinstance(frame, pd.DataFrame) else pd.testing.assert_series_equal
    same(back, frame)
    assert back.attrs == {"unit": "m"}


def test_arrow_and_polars_come_home_as_they_were() -> None:
    """As the bytes of an Arrow stream."""
    table = pa.table({"a": [1, None], "b": ["x", "y"]})
    assert home(table).equals(table)
    assert home(table.column(0)).equals(table.column(0))
    frame = pl.DataFrame({"a": [1, None], "b": [["x"], []]})
    assert home(frame).equals(frame)


def test_what_is_one_object_stays_one() -> None:
    """Aliases and cycles among containers are kept."""
    inner = [1]
    outer: dict[str, Any] = {"a": inner, "b": inner}
    outer["self"] = outer
    back = home(outer)
    assert back["a"] is back["b"]
    assert back["self"] is back


def test_instances_of_the_notebooks_own_classes_come_home() -> None:
    """Dataclasses, named tuples and enums that are defined here, without a call of their code."""
    names: dict[str, Any] = {"__name__": "__main__"}
    source = "import dataclasses, enum, collections\nran = []\n"
    source += "@dataclasses.dataclass\nclass P:\n x: int\n def __post_init__(self): ran.append(1)\n"
    source += "class E(enum.Enum):\n A = 1\nN = collections.namedtuple('N', 'a b', module='__main__')\n"
    source += "@dataclasses.dataclass\nclass D:\n x: int\n def __del__(self): ran.append(2)\n"
    exec(source, names)
    assert home([names["P"](3), names["E"].A, names["N"](1, 2)], names) == [names["P"](3), names["E"].A, (1, 2)]
    assert names["ran"] == [1, 1]  # made twice by this test, never on the way
    with pytest.raises(CannotTravel, match="runs code of its own"):
        home(names["D"](1), names)


class Runs:
    """Whatever reduces to a call."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


def _never(*_: object) -> None:
    raise AssertionError("it was run")


def call_of(*reduced: Any) -> bytes:
    """Pickle a call as anybody can."""
    return pickle.dumps(Runs(*reduced), 5)


def _object_array() -> bytes:
    return pickle.dumps(np.array([Runs(os.system, ("true",))], dtype=object), 5)


def _built(target: bytes) -> bytes:
    """Write an instruction that sets attributes on what was built."""
    return b"\x80\x05" + target + b"}\x8c\x01aK\x01sb."


def _calling(*arguments: object) -> bytes:
    """Write a call of our own constructor."""
    name = plain_data.__name__.encode()
    body = pickle.dumps(arguments, 5)[2:-1]
    body = body[9:] if body[:1] == b"\x95" else body  # without its frame
    return b"\x80\x05c" + name + b"\nCALL\n" + body + b"R."


ATTACKS: dict[str, Callable[[], bytes]] = {
    "os.system": lambda: call_of(os.system, ("true",)),
    "subprocess": lambda: call_of(subprocess.Popen, (["true"],)),
    "eval through getattr": lambda: cloudpickle.dumps(Runs(getattr, (builtins, "eval"))),
    "builtins.exec": lambda: call_of(exec, ("raise SystemExit",)),
    "copyreg": lambda: pickle.dumps(Runs(copyreg._reconstructor, (Runs, object, None)), 5),  # type: ignore[attr-defined]
    "an instance of a class": lambda: pickle.dumps(decimal.Context(), 5),
    "a function by value": lambda: cloudpickle.dumps(eval("lambda: _never()")),
    "cloudpickle's class tracker": lambda: call_of(cloudpickle_module._lookup_class_or_track, ("id", int)),
    "a module": lambda: cloudpickle.dumps(os),
    "a class": lambda: pickle.dumps(pathlib.Path, 5),
    "a numpy object array with a payload": _object_array,
    "numpy's own reconstruct": lambda: pickle.dumps(np.arange(3), 4),
    "pandas's internals": lambda: pickle.dumps(pd.DataFrame({"a": [1]}), 5),
    "an extension code": lambda: b"\x80\x02\x82\x01.",
    "a persistent id": lambda: b"\x80\x05\x8c\x01aQ.",
    "text of protocol 0": lambda: pickle.dumps(Runs(os.system, ("true",)), 0),
    "an old-style instance": lambda: b"(S'true'\nios\nsystem\n.",
    "an old-style object": lambda: b"(cos\nsystem\nS'true'\no.",
    "attributes of a value": lambda: _built(b"]"),
    "attributes of a constructor": lambda: _built(b"c" + plain_data.__name__.encode() + b"\nCALL\n"),
    "items into a constructor": lambda: b"\x80\x05c" + plain_data.__name__.encode() + b"\nCALL\n\x8c\x01aK\x01s.",
    "a call of a value": lambda: b"\x80\x05K\x01)R.",
    "our own helpers": lambda: b"\x80\x05c" + plain_data.__name__.encode() + b"\nunpack_data\n.",
    "a constructor that is none": lambda: _calling("eval", "1"),
    "an exception that is none": lambda: _calling("exception", ("eval", ("1",))),
    "an exception by its module": lambda: _calling("exception", ("os.system", ("true",))),
    "a class by another name": lambda: _calling("dataclass", ("pathlib", {})),
    "an array of pointers": lambda: _calling("array", (b"\0" * 8, "|O", (1,), "C", True)),
    "an array with fields of pointers": lambda: _calling("array", (b"\0" * 8, [("a", "|O")], (1,), "C", True)),
    "an array larger than its bytes": lambda: _calling("array", (b"\0" * 8, "<f8", (1 << 40,), "C", True)),
    "a negative shape": lambda: _calling("array", (b"\0" * 8, "<f8", (-1,), "C", True)),
    "a torch function": lambda: _calling("tensor", (b"", "load", (0,), False, False, "cpu")),
    "a zone outside of its folder": lambda: _calling("zone", "../../etc/passwd"),
    "garbage": lambda: os.urandom(100),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nothing_that_arrives_is_run(attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a runtime sends instead of data is refused, and none of it has happened."""
    for name in ("system", "popen"):
        monkeypatch.setattr(os, name, _never)
    payload = ATTACKS[attack]()
    with pytest.raises(CannotTravel):
        unpack_data(payload, [], {"__name__": "__main__", "pathlib": pathlib.Path}, ReferenceTable())


@pytest.mark.parametrize(
    "value",
    [print, lambda: 1, pathlib.Path, os, Runs(int, ()), io.StringIO("x"), collections.defaultdict(lambda: 1), object()],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_is_more_than_data_is_not_sent(value: object) -> None:
    """The honest far side keeps it, and says what it is."""
    with pytest.raises(CannotTravel, match=r"only plain data comes home|more than data"):
        pack_data({"inside": [value]}, {}, ReferenceTable(session="far"))


def test_an_ordinary_pickle_is_no_data() -> None:
    """What a runtime that is trusted sends is refused whole, if it is more than containers and atoms."""
    packed = pack(np.arange(3), {}, ReferenceTable(session="far"), Memory())
    with pytest.raises(CannotTravel):
        unpack_data(packed.pickle, packed.buffers, {}, ReferenceTable())
