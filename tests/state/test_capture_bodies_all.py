"""State in, closures and the bodies of classes: C6, C7."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(id="C6 lambda", here="k6 = 3\nlam6 = lambda x, y=1: x + y + k6", there="r = lam6(1)", after="r == 5"),
    Case(
        id="C6 closure",
        here="def mk61(n): return lambda x: x + n\nadd61 = mk61(5)",
        there="r = add61(1)",
        after="r == 6",
    ),
    Case(
        id="C6 two closures share a cell",
        here=(
            "def mk63():\n    c = 0\n    def inc():\n        nonlocal c; c += 1\n    def get(): return c\n"
            "    return inc, get\ninc63, get63 = mk63()"
        ),
        there="inc63(); inc63()",
        after="get63() == 2",
    ),
    Case(
        id="C6 recursive closure",
        here=("def mk65():\n    def fact(n): return 1 if n < 2 else n * fact(n - 1)\n    return fact\nfact65 = mk65()"),
        there="r = fact65(5)",
        after="r == 120",
    ),
    Case(
        id="C6 closure reads a global",
        here="k66 = 2\ndef mk66(n):\n    def f(x): return x * n + k66\n    return f\nf66 = mk66(3)",
        there="r = f66(4)",
        after="r == 14",
    ),
    Case(
        id="C6 lambdas made in a loop",
        here="fs67 = [lambda: i67 for i67 in range(3)]\ngs67 = [lambda i=i: i for i in range(3)]",
        there="r = [f() for f in fs67], [g() for g in gs67]",
        after="r == ([2, 2, 2], [0, 1, 2])",
    ),
    Case(
        id="C6 closure over a list",
        here=(
            "def mk68():\n    seen = []\n    def add(x): seen.append(x); return seen\n    return add\nadd68 = mk68()"
        ),
        there="add68(1)",
        after="add68(2) == [1, 2]",
    ),
    Case(
        id="C7 decorator from the notebook",
        here="def twice7(f): return lambda x: f(f(x))",
        there="@twice7\ndef g71(x): return x + 1\nr = g71(1)",
        after="r == 3 and g71(1) == 3",
    ),
    Case(
        id="C7 base class",
        here="class B72:\n    def hi(self): return 'hi'",
        there="class C72(B72): pass\nc72 = C72()\nr = c72.hi()",
        after="r == 'hi' and isinstance(c72, B72) and C72.__mro__[1] is B72",
    ),
    Case(
        id="C7 metaclass method",
        here=(
            "k74 = 2\nclass Meta74(type):\n    def __call__(cls, *a): return (k74, super().__call__(*a))\n"
            "class C74(metaclass=Meta74): pass"
        ),
        there="r = C74()",
        after="r[0] == 2 and isinstance(r[1], C74)",
    ),
    Case(
        id="C7 __set_name__",
        here="names77 = []\nclass D77:\n    def __set_name__(self, owner, name): names77.append(name)",
        there="class C77:\n    field = D77()",
        after="names77 == ['field']",
    ),
    Case(
        id="C7 dataclass of the notebook with a factory",
        here=(
            "from dataclasses import dataclass, field\n@dataclass\nclass C79:\n"
            "    b: list = field(default_factory=lambda: [k79])\nk79 = 3"
        ),
        there="r = C79()",
        after="r.b == [3]",
    ),
    Case(
        id="C7 annotations read names",
        here="class T710: pass",
        there="def f710(x: T710) -> list[T710]: return [x]\nr = f710.__annotations__['x']",
        after="r is T710",
    ),
    Case(
        id="C7 nested class body",
        here="k711 = 7",
        there=(
            "class C711:\n    class In:\n        v = k711\n        def f(self): return k711\n"
            "r = C711.In.v, C711.In().f()"
        ),
        after="r == (7, 7)",
    ),
    Case(
        id="C7 decorated class",
        here="reg712 = {}\ndef register712(c): reg712[c.__name__] = c; return c",
        there="@register712\nclass C712: pass",
        after="reg712 == {'C712': C712}",
    ),
    Case(
        id="C7 class attribute changed through an instance",
        here="class C713:\n    seen = []\n    def add(self, x): self.seen.append(x)\nc713 = C713()",
        there="c713.add(1)",
        after="C713.seen == [1] and c713.seen is C713.seen",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
