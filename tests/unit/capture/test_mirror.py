"""Two mirrors keep two namespaces alike, objects and aliases included."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pytest


def test_an_alias_made_remotely_is_one_object_at_home(bench: Any) -> None:
    """`b = a; b.append(2)` changes the local `a`, and the local `b` is it."""
    bench.local.run("a = [1]")
    before = bench.local.names["a"]
    bench.cell("b = a\nb.append(2)")
    assert bench.local.names["a"] is bench.local.names["b"] is before
    assert before == [1, 2]


def test_a_nested_alias_stays_one(bench: Any) -> None:
    """An object reached by a name and through a container stays one object."""
    bench.local.run("inner = {'k': 1}\nouter = {'i': inner, 'j': [inner]}")
    inner, outer = bench.local.names["inner"], bench.local.names["outer"]
    bench.cell("outer['i']['k'] = 2\nouter['new'] = inner")
    assert outer["i"] is inner is outer["j"][0] is outer["new"]
    assert inner == {"k": 2}


def test_a_name_bound_anew_leaves_what_was_its_alias_alone(bench: Any) -> None:
    """What a cell did not reach does not come home with it, over what changed here since."""
    bench.local.run("a = b = []")
    bench.cell("seen = a, b")
    bench.local.run("a.append(1)")
    bench.remote.run("a = 5")
    bench.pull("a")
    assert bench.local.names["a"] == 5
    assert bench.local.names["b"] == [1]


def test_a_unit_in_another_order_is_not_sent_again(bench: Any) -> None:
    """Names bound anew that make one unit once more are current as soon as they were sent."""
    bench.local.run("a = b = [1]")
    bench.push("a", "b")
    bench.local.run("b = a = [1, 2]")
    bench.push("b", "a")
    assert bench.push("b", "a").units == ()


def test_replacing_a_member_does_not_change_the_former_member(bench: Any) -> None:
    """`a[0] = [9]` leaves the list that was there alone, as it does locally."""
    bench.local.run("s = [1]\na = [s]\nunsent = a[0]")
    bench.push("a")
    bench.remote.run("a[0] = [9]")
    bench.pull("a")
    assert bench.local.names["a"] == [[9]]
    assert bench.local.names["unsent"] == [1]


def test_an_array_view_and_its_base_share_memory_on_both_sides(bench: Any) -> None:
    """A write through a view is seen in the base, there and at home."""
    bench.local.names.update(x=np.arange(20000.0))
    bench.local.run("v = x[1:]")
    x, v = bench.local.names["x"], bench.local.names["v"]
    bench.cell("v[0] = 7\nassert x[1] == 7")
    assert bench.local.names["x"] is x and bench.local.names["v"] is v
    assert x[1] == v[0] == 7


def test_views_of_a_base_that_stays_behind_share_memory(bench: Any) -> None:
    """Two overlapping views bring only the stretch they cover."""
    base = np.zeros(1_000_000)
    bench.local.names.update(a=base[10:30], b=base[20:40])
    export = bench.push("a", "b")
    bench.remote.run("a[10:] = 5")
    assert sum(unit.size_bytes for unit in export.units) < 10_000
    assert bench.remote.names["b"][0] == 5


def test_a_view_sent_before_its_base_becomes_a_view_again(bench: Any) -> None:
    """Names that turn out to share memory are sent together once both are used."""
    bench.local.names["x"] = np.arange(10.0)
    bench.local.run("v = x[2:5]")
    bench.push("v")
    bench.push("x")
    bench.remote.run("v[0] = -1")
    assert bench.remote.names["x"][2] == -1


def test_arrays_that_stop_sharing_remotely_stop_sharing_at_home(bench: Any) -> None:
    """A remote copy of a view is not written through to the base."""
    bench.local.names["x"] = np.arange(6.0)
    bench.local.run("v = x[1:3]")
    bench.push()
    bench.remote.run("v = v.copy()\nv[:] = 50\nx[:] = 1")
    bench.pull()
    assert bench.local.names["x"].tolist() == [1.0] * 6
    assert bench.local.names["v"].tolist() == [50.0, 50.0]


@pytest.mark.parametrize("make", ["x[::3]", "x[:, 1:]", "x.T", "np.asfortranarray(x)", "x[::-1]", "x[0:0]"])
def test_strided_arrays_keep_their_content(bench: Any, make: str) -> None:
    """Any layout arrives equal, alone and together with its base."""
    bench.local.names.update(np=np, x=np.arange(120.0).reshape(10, 12))
    bench.local.run(f"y = {make}")
    bench.push("y")
    assert np.array_equal(bench.remote.names["y"], bench.local.names["y"])
    bench.push("x", "y")
    assert np.array_equal(bench.remote.names["y"], bench.local.names["y"])


def test_unchanged_values_do_not_travel_back(bench: Any) -> None:
    """After an exchange neither side sends anything."""
    bench.local.names.update(frame=pd.DataFrame({"a": range(5000), "b": "x"}), x=np.arange(50_000), pi=math.pi)
    bench.local.run("class C:\n    def m(self): return pi\nc = C(); c.l = [1, {2}]\ndef f(n=[]): return pi")
    assert bench.push().units
    assert bench.pull().units == ()
    assert bench.push().units == ()


def test_a_frame_is_updated_in_place(bench: Any) -> None:
    """A column added remotely appears in the local frame object."""
    frame = bench.local.names["df"] = pd.DataFrame({"a": [1, 2, 3]})
    bench.cell("df['b'] = df['a'] * 2\ndf.loc[0, 'a'] = 10")
    assert bench.local.names["df"] is frame
    assert frame.to_dict("list") == {"a": [10, 2, 3], "b": [2, 4, 6]}


def test_a_global_changed_by_a_function_changes_the_namespace(bench: Any) -> None:
    """A function that travelled writes the namespace it arrived in."""
    bench.local.run("n = 0\ndef bump():\n    global n\n    n += 1")
    bench.cell("bump(); bump()")
    assert bench.local.names["n"] == 2
    assert bench.remote.names["bump"].__globals__ is bench.remote.names


def test_closures_share_their_cell_and_keep_count(bench: Any) -> None:
    """Two functions over one variable stay over one variable, and its value comes home."""
    bench.local.run(
        "def make():\n    n = 0\n    def inc():\n        nonlocal n\n        n += 1\n    def get():\n        return n\n"
        "    return inc, get\ninc, get = make()"
    )
    inc, get = bench.local.names["inc"], bench.local.names["get"]
    bench.cell("inc(); inc()")
    assert get() == 2
    inc()
    assert get() == 3


def test_recursive_and_decorated_functions_travel(bench: Any) -> None:
    """Recursion through a closure, an lru_cache, a mutable default and a partial all survive."""
    bench.local.run(
        "import functools\n"
        "def outer():\n    def fact(n): return 1 if n < 2 else n * fact(n - 1)\n    return fact\nfact = outer()\n"
        "@functools.lru_cache\ndef fib(n): return n if n < 2 else fib(n-1) + fib(n-2)\n"
        "def push(v, acc=[]):\n    acc.append(v)\n    return acc\n"
        "p = functools.partial(push, 1)\n"
    )
    bench.cell("got = fact(5), fib(20); p()")
    assert bench.local.names["got"] == (120, 6765)
    assert bench.local.names["push"](2) == [1, 2]


def test_instances_stay_themselves_and_of_their_class(bench: Any) -> None:
    """Attributes change in place; the class is one class."""
    bench.local.run(
        "class P:\n    __slots__ = ('x', 'me')\np = P(); p.x = [1]; p.me = p\nclass Q: pass\nq = Q(); q.p = p"
    )
    p, q = bench.local.names["p"], bench.local.names["q"]
    bench.cell("p.x.append(2); q.z = p; assert type(p) is P")
    assert p.x == [1, 2] and p.me is p and q.z is p
    assert type(p) is bench.local.names["P"]


def test_random_generators_advance(bench: Any) -> None:
    """What was drawn remotely is not drawn again at home."""
    bench.local.names["rng"] = np.random.default_rng(1)
    expected = np.random.default_rng(1).random(4)
    bench.cell("first = rng.random(2)")
    assert np.array_equal(bench.local.names["rng"].random(2), expected[2:])


def test_tuples_are_rebuilt_only_where_needed(bench: Any) -> None:
    """A tuple that holds a changed list holds the same list afterwards."""
    bench.local.run("l = [1]\nt = (l, 2)")
    l_before = bench.local.names["l"]
    bench.cell("l.append(2)")
    assert bench.local.names["t"][0] is l_before
    assert bench.local.names["t"] == ([1, 2], 2)


def test_names_that_cannot_travel_are_told_with_their_path(bench: Any, tmp_path: Any) -> None:
    """The refusal names the part; what shares a unit with it still travels."""
    with (tmp_path / "f").open("w") as stream:
        bench.local.names.update(shared=[1], stream=stream)
        bench.local.run("bad = {'handlers': [shared, {'stream': stream}]}\ngood = [shared]\ngen = (i for i in [])")
        export = bench.push("bad", "good", "gen")
    reasons = {refusal.names[0]: refusal.reason for refusal in export.refusals}
    assert reasons["bad"] == "bad['handlers'][1]['stream'] is an open file (its path travels: open it where it is used)"
    assert reasons["gen"] == "gen is a generator (a list made of it travels)"
    assert bench.remote.names["good"] == [[1]]


def test_a_unit_over_the_limit_is_named_and_not_pickled(bench: Any) -> None:
    """An array above the limit is reported with its size; an unchanged one is not."""
    bench.local.names["x"] = np.zeros(100_000)
    bench.push("x")
    assert bench.remote.mirror.export(["x"], limit_bytes=1000).unchanged == ("x",)
    bench.remote.run("x[0] = 1\ny = x.copy()")
    export = bench.remote.mirror.export(["x", "y"], limit_bytes=1000)
    assert [part.names for part in export.too_large] == [("x",), ("y",)]
    assert export.too_large[0].size_bytes >= 800_000


def test_buffers_are_not_copied_and_not_hashed_twice(bench: Any) -> None:
    """A large array leaves as the memory it is in and arrives as the memory it came in."""
    x = bench.local.names["x"] = np.arange(100_000.0)
    (unit,) = bench.local.mirror.export(["x"]).units
    assert np.shares_memory(np.frombuffer(unit.buffers[0]), x)
    assert len(unit.pickle) < 1000


def test_stale_names_are_found_by_identity(bench: Any) -> None:
    """Rebinding and deleting make a name stale; changing in place does not."""
    bench.local.run("a = [1]\nb = [2]\nc = [3]")
    bench.push()
    bench.local.run("a = [1]\ndel b\nc.append(4)")
    assert bench.local.mirror.stale() == {"a", "b"}
    assert not bench.local.mirror.is_current("a")
    assert bench.local.mirror.is_current("c")


def test_a_dropped_name_is_sent_again(bench: Any) -> None:
    """Forgetting makes the next export whole."""
    bench.local.run("a = [1]")
    bench.push("a")
    bench.local.mirror.drop(["a"])
    assert [unit.names for unit in bench.push("a").units] == [("a",)]


def test_one_bad_unit_does_not_lose_the_others(bench: Any) -> None:
    """What cannot be unpickled is reported by name."""
    bench.local.run("a = [1]\nb = [2]")
    first, second = bench.local.mirror.export(["a", "b"]).units
    broken = type(first)(first.names, first.pickle[:-5])
    report = bench.remote.mirror.accept([broken, second])
    assert [failure.names for failure in report.failures] == [("a",)]
    assert bench.remote.names["b"] == [2]


def test_a_kept_value_travels_as_a_handle_and_comes_back_as_itself(bench: Any) -> None:
    """A handle is a name: pushed again it is the value that stayed."""
    bench.remote.run("model = {'w': [1]}\nuser = [model]")
    bench.remote.references.keep(bench.remote.names["model"], "k1", name="model", reason="too large")
    bench.pull()
    handle = bench.local.names["model"]
    assert bench.local.names["user"][0] is handle
    assert handle.fetch() is bench.remote.names["model"]
    bench.local.run("again = [model]")
    bench.push("again")
    assert bench.remote.names["again"][0] is bench.remote.names["model"]


def test_modules_travel_by_name(bench: Any) -> None:
    """An imported module is imported on arrival."""
    bench.local.run("import math as m\nfrom math import sqrt")
    bench.push()
    assert bench.remote.names["m"] is math
    assert bench.remote.names["sqrt"] is math.sqrt


def test_the_namespace_itself_is_never_copied(bench: Any) -> None:
    """A reference to globals() is the receiver's globals."""
    bench.local.run("g = {'ns': globals()}\nsecret = 1")
    bench.push("g")
    assert bench.remote.names["g"]["ns"] is bench.remote.names
    assert "secret" not in bench.remote.names


def test_classes_of_the_notebook_are_one_class_per_side(bench: Any) -> None:
    """A class attribute changed remotely changes the local class; enums, dataclasses and abstract bases travel."""
    bench.local.run(
        "import abc, dataclasses, enum, typing\n"
        "class Base(abc.ABC):\n    count = 0\n    @abc.abstractmethod\n    def m(self): ...\n"
        "class Impl(Base):\n    def m(self):\n        Base.count += 1\n        return super().__class__\n"
        "@dataclasses.dataclass\nclass D:\n    x: int\n    l: list = dataclasses.field(default_factory=list)\n"
        "class Color(enum.Enum):\n    RED = 1\n"
        "class NT(typing.NamedTuple):\n    a: list\n"
        "i, d, c, t = Impl(), D(1), Color.RED, NT([1])\n"
    )
    classes = {name: bench.local.names[name] for name in ("Base", "Impl", "D", "Color", "NT")}
    d = bench.local.names["d"]
    bench.cell("i.m(); d.l.append(5); t.a.append(2); new = D(3); same = c is Color.RED")
    assert {name: bench.local.names[name] for name in classes} == classes
    assert classes["Base"].count == 1
    assert bench.local.names["d"] is d and d == classes["D"](1, [5])
    assert bench.local.names["new"] == classes["D"](3)
    assert bench.local.names["t"] == classes["NT"]([1, 2])
    assert bench.local.names["same"] and bench.local.names["c"] is classes["Color"].RED
    assert bench.pull().units == ()


def test_objects_with_hidden_state_are_replaced_and_not_half_updated(bench: Any) -> None:
    """What keeps state outside its attributes arrives whole."""
    bench.local.run("import random, io\nr = random.Random(1)\ne = ValueError(1)\nbox = [r, e]")
    bench.local.names["m"] = np.ma.array([1, 2], mask=[False, True])
    expected = bench.local.names["r"].__class__(1)
    expected.random()
    bench.cell("r.random(); e.args = (2,); m[1] = 5")
    assert bench.local.names["r"].random() == expected.random()
    assert bench.local.names["box"][1] is bench.local.names["e"]
    assert bench.local.names["e"].args == (2,)
    assert bench.local.names["m"].tolist() == [1, 5]


def test_refused_values_are_not_kept_alive(bench: Any) -> None:
    """A value that could not travel can still be freed."""

    class Big:
        """Something that can be watched."""

    watched = Big()
    bench.local.names["bad"] = [watched, (i for i in ())]
    gone = weakref.ref(watched)
    assert bench.local.mirror.export(["bad"]).refusals
    del watched, bench.local.names["bad"]
    gc.collect()
    assert gone() is None


def test_values_deleted_locally_are_let_go_of(bench: Any) -> None:
    """After `stale` the mirror holds nothing that no name is bound to."""
    bench.local.names["big"] = {"x": np.zeros(1000)}
    bench.push("big")
    gone = weakref.ref(bench.local.names["big"]["x"])
    del bench.local.names["big"]
    assert bench.local.mirror.stale() == {"big"}
    gc.collect()
    assert gone() is None


def test_a_pushed_handle_does_not_touch_the_value_that_stayed(bench: Any) -> None:
    """Updating around a kept value leaves it as it is."""
    bench.remote.run("model = {'w': [1]}\nstate = {'m': model, 'n': 0}")
    kept = bench.remote.names["model"]
    bench.remote.references.keep(kept, "k1", name="model")
    bench.pull("model", "state")
    bench.local.run("state['n'] = 5")
    bench.push("state")
    assert bench.remote.names["state"] == {"m": {"w": [1]}, "n": 5}
    assert bench.remote.names["state"]["m"] is kept


def test_a_class_that_shadows_methods_and_odd_containers(bench: Any) -> None:
    """Subclasses of containers keep their type, attributes and identity."""
    bench.local.run(
        "import collections\n"
        "class L(list): pass\nclass D(dict):\n    def clear(self): raise TypeError\n"
        "l = L([1]); l.tag = 'x'\nd = D(a=[1])\ndd = collections.defaultdict(list, a=[1])\n"
        "od = collections.OrderedDict(a=1, b=2)\nq = collections.deque([1, 2], maxlen=2)\n"
        "ba = bytearray(b'ab')\ns = {1}\n"
    )
    before = dict(bench.local.names)
    bench.cell(
        "l.append(2); l.tag = 'y'; d['a'].append(2); dd['b'].append(3)\n"
        "od.move_to_end('a'); q.append(3); ba[0] = 90; s.add(2)"
    )
    after = bench.local.names
    assert all(after[name] is before[name] for name in ("l", "d", "dd", "od", "q", "ba", "s"))
    assert (list(after["l"]), after["l"].tag, after["d"]["a"]) == ([1, 2], "y", [1, 2])
    assert (after["dd"]["b"], list(after["od"]), list(after["q"])) == ([3], ["b", "a"], [2, 3])
    assert (after["ba"], after["s"]) == (bytearray(b"Zb"), {1, 2})
    assert after["dd"]["new"] == []
