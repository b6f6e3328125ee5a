"""State back, functions and classes: globals, closures, defaults "
"and class attributes that a cell changes by calling."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

_COUNTER = (
    "def counter():\n  n = 0\n  def up():\n    nonlocal n\n    n += 1\n    return n\n"
    "  def now(): return n\n  return up, now\nup, now = counter()"
)
_CLASS = (
    "class C:\n  made = 0\n  seen = []\n  def __init__(self):\n    type(self).made += 1\n"
    "    self.seen.append(self.made)"
)

FUNCTIONS = [
    Case(
        id="W6 a counter changed through global",
        here="n = 0\ndef bump():\n  global n\n  n += 1",
        there="bump()\nbump()",
        after="n == 2 and bump() is None and n == 3",
    ),
    Case(
        id="W6 a global made by a function of here",
        here="globals().pop('made6', None)\ndef make():\n  global made6\n  made6 = [1]",
        there="make()\nmade6.append(2)",
        after="made6 == [1, 2]",
    ),
    Case(
        id="W6 two functions and one counter",
        here="hits = 0\ndef hit():\n  global hits\n  hits += 1\ndef hit2(): hit(); hit()",
        there="hit2()",
        after="hits == 2",
    ),
    Case(
        id="W6 a global changed in a method",
        here="calls = []\nclass Svc:\n  def go(self): calls.append(self.name)\nsvc = Svc()\nsvc.name = 's'",
        there="svc.go()",
        after="calls == ['s']",
    ),
    Case(id="W6 a counter changed on both sides in turn", here="n = 5\nbump()", there="bump()", after="n == 7"),
    Case(
        id="W6 a closure's counter", here=_COUNTER, there="up()\nup()", after="now() == 2 and up() == 3 and now() == 3"
    ),
    Case(id="W6 and once more", there="up()", after="now() == 4"),
    Case(id="W6 a closure made there", there=_COUNTER + "\nup()", after="up() == 2 and now() == 2"),
    Case(
        id="W6 a closure over a list of here",
        here="box = []\ndef adder(l): return lambda x: l.append(x)\nadd = adder(box)",
        there="add(1)",
        after="box == [1] and add(2) is None and box == [1, 2]",
    ),
    Case(
        id="W6 a function's attribute",
        here="def f6(): f6.calls += 1\nf6.calls = 0\ng6 = f6",
        there="f6(); f6()",
        after="g6 is f6 and f6.calls == 2",
    ),
    Case(
        id="W6 a callable object's count",
        here="class Cc:\n  n = 0\n  def __call__(self): self.n += 1\ncc = Cc()",
        there="cc(); cc()",
        after="cc.n == 2",
    ),
    Case(
        id="W6 a decorator's count",
        here="def counted(f):\n  def inner(*a):\n    inner.calls += 1\n    return f(*a)\n  inner.calls = 0\n"
        "  return inner\n@counted\ndef sq(x): return x * x",
        there="r = [sq(i) for i in range(3)]",
        after="sq.calls == 3 and sq(2) == 4 and sq.calls == 4",
    ),
    Case(
        id="W6 a wrapper of functools",
        here="import functools\nlog6 = []\ndef logged(f):\n  @functools.wraps(f)\n  def inner(*a):\n"
        "    log6.append(a)\n    return f(*a)\n  return inner\n@logged\ndef dbl(x): return x * 2",
        there="dbl(4)",
        after="log6 == [(4,)] and dbl(1) == 2",
    ),
    Case(
        id="W6 a context manager of here",
        here="import contextlib\nstack6 = []\n@contextlib.contextmanager\ndef inside(x):\n  stack6.append(x)\n"
        "  yield x\n  stack6.append(-x)",
        there="with inside(1): stack6.append(0)",
        after="stack6 == [1, 0, -1]",
    ),
    Case(
        id="W6 itertools",
        here="import itertools\nids = itertools.count(5)\nalias = ids",
        there="got = next(ids), next(ids)",
        after="got == (5, 6) and next(ids) == 7 and alias is ids",
    ),
    Case(
        id="W6 the rest of a zip",
        here="zz = zip([1, 2, 3], 'abc')",
        there="first = next(zz)",
        after="first == (1, 'a') and list(zz) == [(2, 'b'), (3, 'c')]",
    ),
    Case(
        id="W6 a function's code",
        here="def fc(): return 1\nkeep = fc",
        there="def fc2(): return 2\nfc.__code__ = fc2.__code__",
        after="keep() == 2",
    ),
    Case(
        id="W7 a mutable default",
        here="def acc(x, seen=[]):\n  seen.append(x)\n  return seen",
        there="acc(1)\nacc(2)",
        after="acc(3) == [1, 2, 3]",
    ),
    Case(
        id="W7 the default is somebody else's too",
        here="base7 = []\ndef acc(x, seen=base7): seen.append(x)",
        there="acc(1)",
        after="base7 == [1] and acc.__defaults__[0] is base7",
    ),
    Case(
        id="W7 a keyword default",
        here="def acck(*, cache={}):\n  cache['n'] = cache.get('n', 0) + 1\n  return cache['n']",
        there="acck(); acck()",
        after="acck() == 3",
    ),
    Case(
        id="W7 of a method",
        here="class Dm:\n  def put(self, x, l=[]):\n    l.append(x)\n    return l\ndm = Dm()",
        there="dm.put(1)",
        after="dm.put(2) == [1, 2]",
    ),
]

CLASSES = [
    Case(
        id="W6 attributes deleted from a class",
        here="class Cut:\n  a, b = 1, 2\n  def gone(self): return 1\nclass Under(Cut):\n  a = 3\ncut = Cut()",
        there="del Cut.b, Cut.gone, Under.a",
        after="not hasattr(cut, 'b') and not hasattr(cut, 'gone') and Under.a == Cut.a == 1",
    ),
    Case(
        id="W6 attributes deleted from a class here",
        here="del Cut.a\nCut.c = 5",
        there="left = [name for name in ('a', 'b', 'c', 'gone') if hasattr(cut, name)]",
        after="left == ['c'] and Cut.c == 5",
    ),
    Case(
        id="W6 members of an enumeration that hold something",
        here="import enum\nclass Planet(enum.Enum):\n  EARTH = (6, 2)\n"
        "  def __init__(self, mass, radius): self.mass, self.radius = mass, radius\n"
        "  @property\n  def density(self): return self.mass / self.radius\nhome = Planet.EARTH",
        there="density = Planet.EARTH.density\nPlanet.EARTH.moons = ['moon']",
        after="density == 3 and home.moons == ['moon'] and home is Planet.EARTH and home.mass == 6",
    ),
    Case(
        id="W6 a class attribute rebound",
        here=_CLASS,
        there="c1, c2 = C(), C()",
        after="C.made == 2 and C.seen == [1, 2]",
    ),
    Case(
        id="W6 of a class with instances here",
        here=_CLASS + "\nc0 = C()\nkind = C",
        there="c1 = C()",
        after="C is kind and type(c0) is C and isinstance(c1, C) and c0.made == 2 and C.seen is c0.seen "
        "and C.seen == [1, 2]",
    ),
    Case(
        id="W6 a class attribute that is a list of here",
        here="names6 = []\nclass Reg:\n  all = names6\n  def __init_subclass__(cls): cls.all.append(cls.__name__)",
        there="class SubReg(Reg): pass",
        after="names6 == ['SubReg'] and Reg.all is names6",
    ),
    Case(
        id="W6 set from outside",
        here="class Cfg:\n  lr = 1",
        there="Cfg.lr = 2\nCfg.new = 3\ndel Cfg.lr\nCfg.lr = 4",
        after="(Cfg.lr, Cfg.new) == (4, 3)",
    ),
    Case(
        id="W6 a method added",
        here="class Open: pass\no6 = Open()",
        there="Open.hi = lambda self: 'hi'",
        after="o6.hi() == 'hi' and Open().hi() == 'hi'",
    ),
    Case(
        id="W6 a method replaced",
        here="class Rep:\n  def v(self): return 1\nr6 = Rep()",
        there="Rep.v = lambda self: 2",
        after="r6.v() == 2",
    ),
    Case(
        id="W6 through a class method",
        here="class Cm:\n  n = 0\n  @classmethod\n  def up(cls): cls.n += 1\ncm = Cm()",
        there="Cm.up(); cm.up()",
        after="Cm.n == 2",
    ),
    Case(
        id="W6 of a base, through a subclass",
        here="class Bs:\n  items = []\nclass Sb(Bs): pass\nsb = Sb()",
        there="sb.items.append(1); Bs.tag = 't'",
        after="Bs.items == [1] and sb.items is Bs.items and Sb.tag == 't'",
    ),
    Case(
        id="W6 of a metaclass",
        here="class Mt(type):\n  n = 0\n  def __call__(cls, *a):\n    Mt.n += 1\n"
        "    return super().__call__(*a)\nclass Mc(metaclass=Mt): pass",
        there="Mc(); Mc()",
        after="Mt.n == 2",
    ),
    Case(
        id="W6 of a dataclass",
        here="from dataclasses import dataclass\n@dataclass\nclass Dc:\n  x: int = 0\n  total = 0\n"
        "  def __post_init__(self): Dc.total += self.x",
        there="Dc(2); Dc(3)",
        after="Dc.total == 5",
    ),
    Case(
        id="W6 the class is reached by its instance only",
        here="class Only:\n  n = 0\n  def up(self): type(self).n += 1\nonly = [Only()]",
        there="only[0].up()",
        after="Only.n == 1",
    ),
]

CASES = [*FUNCTIONS, *CLASSES]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
