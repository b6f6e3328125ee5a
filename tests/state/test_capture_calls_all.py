"""State in, what functions, methods and callables in containers read: C3, C4, C5."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(id="C3 through a function", here="k3 = 3\ndef f3(): return k3", there="r = f3()", after="r == 3"),
    Case(
        id="C3 a function bound after its user",
        here="def late_user(): return late_one() + 1\ndef late_one(): return 1",
        there="r = late_user()",
        after="r == 2",
    ),
    Case(
        id="C3 nested function reads a global",
        here="k33 = 5\ndef outer33():\n    def inner(): return k33\n    return inner()",
        there="r = outer33()",
        after="r == 5",
    ),
    Case(
        id="C3 generator function",
        here="k34 = 5\ndef gen34():\n    for i in range(2): yield i + k34",
        there="r = list(gen34())",
        after="r == [5, 6]",
    ),
    Case(
        id="C3 function that sets a global",
        here="k35 = 1\ndef set35():\n    global k35, new35\n    k35 = 9; new35 = 8",
        there="set35()",
        after="(k35, new35) == (9, 8)",
    ),
    Case(
        id="C3 function calls one redefined in the cell",
        here="def helper37(): return 'old'\ndef user37(): return helper37()",
        there="def helper37(): return 'new'\nr = user37()",
        after="r == 'new' and user37() == 'new'",
    ),
    Case(
        id="C3 function sees a global the cell sets",
        here="k38 = 1\ndef f38(): return k38",
        there="k38 = 2\nr = f38()",
        after="r == 2 and f38() == 2",
    ),
    Case(
        id="C3 function attribute",
        here="def f39(): f39.calls += 1\nf39.calls = 0",
        there="f39(); f39()",
        after="f39.calls == 2",
    ),
    Case(
        id="C4 property",
        here="k41 = 2\nclass M41:\n    @property\n    def p(self): return k41\nm41 = M41()",
        there="r = m41.p",
        after="r == 2",
    ),
    Case(
        id="C4 property with a setter",
        here=(
            "lim42 = 3\nclass M42:\n    _v = 0\n    @property\n    def v(self): return self._v\n"
            "    @v.setter\n    def v(self, x): self._v = min(x, lim42)\nm42 = M42()"
        ),
        there="m42.v = 10",
        after="m42.v == 3",
    ),
    Case(
        id="C4 __getattribute__",
        here=(
            "k45 = 6\nclass M45:\n    def __getattribute__(self, name):\n"
            "        return k45 if name == 'z' else object.__getattribute__(self, name)\nm45 = M45()"
        ),
        there="r = m45.z",
        after="r == 6",
    ),
    Case(
        id="C4 operators",
        here=(
            "k47 = 8\nclass M47:\n    def __add__(self, o): return k47\n"
            "    def __lt__(self, o): return k47 > o\n    def __len__(self): return k47\n"
            "    def __getitem__(self, i): return k47 * i\nm47 = M47()"
        ),
        there="r = m47 + 1, m47 < 3, len(m47), m47[2]",
        after="r == (8, True, 8, 16)",
    ),
    Case(
        id="C4 context manager class",
        here=(
            "log48 = []\nclass M48:\n    def __enter__(self): log48.append('in'); return self\n"
            "    def __exit__(self, *a): log48.append('out')"
        ),
        there="with M48() as m48: log48.append('body')",
        after="log48 == ['in', 'body', 'out']",
    ),
    Case(
        id="C4 classmethod and staticmethod",
        here=(
            "k49 = 3\nclass M49:\n    n = 4\n    @classmethod\n    def c(cls): return cls.n + k49\n"
            "    @staticmethod\n    def s(): return k49"
        ),
        there="r = M49.c(), M49.s(), M49().c()",
        after="r == (7, 3, 7)",
    ),
    Case(
        id="C4 descriptor",
        here=(
            "k410 = 3\nclass D410:\n    def __get__(self, o, t): return k410\n"
            "    def __set__(self, o, v): raise AttributeError\nclass M410:\n    d = D410()\nm410 = M410()"
        ),
        there="r = m410.d",
        after="r == 3",
    ),
    Case(
        id="C4 iterator class",
        here=(
            "k411 = 3\nclass M411:\n    def __init__(self): self.i = 0\n"
            "    def __iter__(self): return self\n    def __next__(self):\n        self.i += 1\n"
            "        if self.i > k411: raise StopIteration\n        return self.i\nm411 = M411()"
        ),
        there="r = list(m411)",
        after="r == [1, 2, 3] and m411.i == 4",
    ),
    Case(
        id="C4 object inside an object",
        here=(
            "k413 = 6\nclass In413:\n    def go(self): return k413\nclass Out413:\n"
            "    def __init__(self): self.part = [In413()]\no413 = Out413()"
        ),
        there="r = o413.part[0].go()",
        after="r == 6",
    ),
    Case(
        id="C5 callable in a list and a tuple",
        here="off51 = 2\nL51 = [lambda x: x + off51]\nT51 = (L51[0],)",
        there="r = L51[0](1), T51[0](2)",
        after="r == (3, 4)",
    ),
    Case(
        id="C5 partial of a lambda with a keyword",
        here="from functools import partial\noff53 = 3\np53 = partial(lambda a, b=0: a + b + off53, b=5)",
        there="r = p53(1)",
        after="r == 9",
    ),
    Case(
        id="C5 recursive lru_cache",
        here=(
            "from functools import lru_cache\n@lru_cache(maxsize=None)\n"
            "def fib55(n): return n if n < 2 else fib55(n - 1) + fib55(n - 2)"
        ),
        there="r = fib55(30)",
        after="r == 832040",
    ),
    Case(
        id="C5 decorator with arguments",
        here=(
            "def times57(n):\n    def deco(f):\n        return lambda x: [f(x)] * n\n    return deco\n"
            "off57 = 1\n@times57(2)\ndef g57(x): return x + off57"
        ),
        there="r = g57(1)",
        after="r == [2, 2]",
    ),
    Case(
        id="C5 decorator class",
        here=(
            "class Deco58:\n    def __init__(self, f): self.f, self.n = f, 0\n"
            "    def __call__(self, *a): self.n += 1; return self.f(*a)\noff58 = 2\n@Deco58\n"
            "def g58(x): return x + off58"
        ),
        there="r = g58(1)",
        after="r == 3 and g58.n == 1",
    ),
    Case(
        id="C5 bound method as a value",
        here=(
            "k511 = 4\nclass M511:\n    def __init__(self): self.n = 1\n"
            "    def go(self): self.n += 1; return self.n + k511\nm511 = M511()\nbm511 = m511.go"
        ),
        there="r = bm511()",
        after="r == 6 and m511.n == 2 and bm511() == 7",
    ),
    Case(
        id="C5 callable in an attribute",
        here=("from types import SimpleNamespace\noff512 = 2\nns512 = SimpleNamespace(f=lambda x: x + off512)"),
        there="r = ns512.f(1)",
        after="r == 3",
    ),
    Case(
        id="C5 map and filter objects",
        here="off513 = 2\nmp513 = map(lambda x: x + off513, [1, 2])",
        there="r = list(mp513)",
        after="r == [3, 4]",
    ),
    Case(
        id="C5 sort key",
        here="order514 = {'a': 2, 'b': 1}\nkey514 = lambda x: order514[x]",
        there="r = sorted('ab', key=key514)",
        after="r == ['b', 'a']",
    ),
    Case(
        id="C5 defaultdict factory",
        here="from collections import defaultdict\nstart515 = 7\ndd515 = defaultdict(lambda: start515)",
        there="dd515['x'] += 1",
        after="dd515['x'] == 8 and dd515['y'] == 7",
    ),
    Case(
        id="C5 dispatch table of functions by name",
        here=(
            "def op_add(a, b): return a + b\ndef op_mul(a, b): return a * b\n"
            "ops516 = {f.__name__: f for f in (op_add, op_mul)}"
        ),
        there="r = ops516['op_mul'](3, 4)",
        after="r == 12",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
