"""State in, plain reads, scopes and statements: C1, C2, C8, C9, C10."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(
        id="C1 attribute and item of an object",
        here="class O1: pass\no1 = O1(); o1.items = {'k': [1, 2]}",
        there="r = o1.items['k'][1]",
        after="r == 2",
    ),
    Case(
        id="C1 several names in one expression",
        here="a11, a12, a13 = 1, 2, 3",
        there="r = a11 if a12 > 5 else a13",
        after="r == 3",
    ),
    Case(id="C1 tuple assignment and swap", here="sa, sb = 1, 2", there="sa, sb = sb, sa", after="(sa, sb) == (2, 1)"),
    Case(id="C2 augmented item", here="d2 = {'n': 1}", there="d2['n'] += 1", after="d2 == {'n': 2}"),
    Case(
        id="C2 augmented attribute",
        here="class A2: n = 1\no2 = A2()",
        there="o2.n += 1",
        after="o2.n == 2 and A2.n == 1",
    ),
    Case(
        id="C2 augmented in a loop",
        here="total2 = 10",
        there="for i2 in range(3):\n    total2 += i2",
        after="total2 == 13",
    ),
    Case(
        id="C8 outer iterable and condition",
        here="xs81, lim81 = [1, 2, 3], 1",
        there="r = {x: y for x in xs81 if x > lim81 for y in xs81}",
        after="r == {2: 3, 3: 3}",
    ),
    Case(
        id="C8 set comprehension and generator",
        here="xs82 = [1, 1, 2]",
        there="r = {x for x in xs82}, sum(x for x in xs82)",
        after="r == ({1, 2}, 4)",
    ),
    Case(
        id="C8 nested comprehension",
        here="rows83, k83 = [[1], [2]], 10",
        there="r = [[c * k83 for c in row] for row in rows83]",
        after="r == [[10], [20]]",
    ),
    Case(
        id="C8 generator read later here",
        here="xs84, k84 = [1, 2], 3",
        there="r = tuple(x * k84 for x in xs84)\nk84 = 5",
        after="r == (3, 6) and k84 == 5",
    ),
    Case(
        id="C8 lambda inside a comprehension",
        here="k86 = 2",
        there="r = [f(3) for f in [lambda x, n=n: x * n * k86 for n in range(2)]]",
        after="r == [0, 6]",
    ),
    Case(
        id="C9 walrus in a condition",
        here="data91 = [1, 2]",
        there="if (n91 := len(data91)) > 1: r = n91",
        after="r == 2 and n91 == 2",
    ),
    Case(
        id="C9 match on a class and a constant",
        here=(
            "class P93:\n    __match_args__ = ('x', 'y')\n"
            "    def __init__(self, x, y): self.x, self.y = x, y\nclass K93: ONE = 1\np93 = P93(1, 5)"
        ),
        there="match p93:\n    case P93(K93.ONE, y=yy93) if yy93 > 2: r = yy93\n    case _: r = None",
        after="r == 5",
    ),
    Case(
        id="C9 except a class of the notebook",
        here="class Err95(Exception): pass\ndef fail95(): raise Err95('x')",
        there="try:\n    fail95()\nexcept (Err95, KeyError) as e: r = e.args",
        after="r == ('x',)",
    ),
    Case(
        id="C9 except star",
        here="class Err96(Exception): pass",
        there=(
            "try:\n    raise ExceptionGroup('g', [Err96(1), ValueError(2)])\n"
            "except* Err96 as g96: r = len(g96.exceptions)\nexcept* ValueError: s96 = 1"
        ),
        after="r == 1 and s96 == 1",
    ),
    Case(
        id="C9 with as, several",
        here="import io\nt97 = 'abc'",
        there="with io.StringIO(t97) as f97, io.StringIO('d') as g97:\n    r = f97.read() + g97.read()",
        after="r == 'abcd'",
    ),
    Case(
        id="C9 for else and break",
        here="xs98, want98 = [1, 2, 3], 9",
        there="for x98 in xs98:\n    if x98 == want98: break\nelse:\n    r = 'none'",
        after="r == 'none' and x98 == 3",
    ),
    Case(
        id="C9 while else",
        here="n99 = 2",
        there="while n99:\n    n99 -= 1\nelse:\n    r = n99",
        after="r == 0 and n99 == 0",
    ),
    Case(
        id="C9 star in a call",
        here="args911, kw911 = (1, 2), {'c': 3}\ndef f911(a, b, c): return a + b + c",
        there="r = f911(*args911, **kw911)",
        after="r == 6",
    ),
    Case(id="C9 del", here="gone912 = 1", there="del gone912", after="'gone912' not in globals()"),
    Case(
        id="C9 del an item and an attribute",
        here="d913 = {'a': 1, 'b': 2}\nclass O913: pass\no913 = O913(); o913.x = 1",
        there="del d913['a'], o913.x",
        after="d913 == {'b': 2} and not hasattr(o913, 'x')",
    ),
    Case(id="C9 del then bind again", here="again915 = 1", there="del again915\nagain915 = 2", after="again915 == 2"),
    Case(id="C9 loop variable stays", here="xs917 = 'ab'", there="for c917 in xs917: pass", after="c917 == 'b'"),
    Case(
        id="C9 nested tuple target",
        here="ps918 = [((1, 2), 3)]",
        there="for (a918, b918), c918 in ps918: pass",
        after="(a918, b918, c918) == (1, 2, 3)",
    ),
    Case(
        id="C9 assert with a message",
        here="msg919 = 'why'\nok919 = False",
        there="assert ok919, msg919",
        raises="AssertionError",
    ),
    Case(id="C9 annotated assignment", here="T920 = int", there="v920: T920 = 3", after="v920 == 3"),
    Case(
        id="C9 finally binds",
        here="n921 = 1",
        there="try:\n    n921 / 0\nexcept ZeroDivisionError: pass\nfinally:\n    r = n921",
        after="r == 1",
    ),
    Case(
        id="C9 a name read before it is bound",
        here="x922 = 1",
        there="y922 = x922\nx922 = 2",
        after="(x922, y922) == (2, 1)",
    ),
    Case(
        id="C9 bound on one branch only",
        here="x923 = 1\nflag923 = False",
        there="if flag923: x923 = 5\nr = x923",
        after="r == 1",
    ),
    Case(
        id="C9 deleted in a function",
        here="gone9f = [1]",
        there="def df9():\n    global gone9f\n    del gone9f\ndf9()",
        after="'gone9f' not in globals()",
    ),
    Case(id="C9 loop over range with underscore", here="_ = 'mine'", there="for _ in range(3): pass", after="_ == 2"),
    Case(id="C9 underscore given back", here="del _", there="pass"),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
