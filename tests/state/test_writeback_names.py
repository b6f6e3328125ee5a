"""State back, the names: what a cell binds, rebinds and deletes, and what was defined over there."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = pytest.mark.timeout(120)

BINDING = [
    Case(id="W1 a new name", there="fresh = 1", after="fresh == 1"),
    Case(id="W1 a rebound name of another type", here="kind = [1]", there="kind = 'text'", after="kind == 'text'"),
    Case(
        id="W1 a rebound name of an equal value", here="e = [1]\nf = e", there="e = [1]", after="e == f and e is not f"
    ),
    Case(id="W1 an int becomes a bool", here="flag = 1", there="flag = True", after="flag is True"),
    Case(id="W1 zero changes its sign", here="zero = 0.0", there="zero = -0.0", after="str(zero) == '-0.0'"),
    Case(
        id="W1 nan", here="nan = float('nan')\nsame = nan", there="other = nan", after="nan is same and other != other"
    ),
    Case(id="W1 unpacking", there="one, (two, *rest) = 1, (2, 3, 4)", after="(one, two, rest) == (1, 2, [3, 4])"),
    Case(id="W1 a chain of targets", there="left = right = []", after="left is right"),
    Case(
        id="W1 two names change places",
        here="p, q = [1], [2]\nwas = p",
        there="p, q = q, p",
        after="q is was and p == [2]",
    ),
    Case(id="W1 a loop's variable", there="for step in range(3): pass", after="step == 2"),
    Case(id="W1 a walrus in a comprehension", there="[(last := i) for i in range(3)]", after="last == 2"),
    Case(
        id="W1 a comprehension's variable stays inside",
        here="globals().pop('inner_i', None)",
        there="squares = [inner_i for inner_i in range(3)]",
        after="'inner_i' not in globals()",
    ),
    Case(
        id="W1 match captures",
        there="match {'a': [1, 2], 'b': 3}:\n  case {'a': [head, *tail], **others}: pass",
        after="(head, tail, others) == (1, [2], {'b': 3})",
    ),
    Case(
        id="W1 except-as is unbound afterwards",
        here="caught = 5",
        there="try: 1/0\nexcept ZeroDivisionError as caught: pass",
        after="'caught' not in globals()",
    ),
    Case(
        id="W1 with-as",
        there="import contextlib\nwith contextlib.nullcontext([1]) as within: within.append(2)",
        after="within == [1, 2]",
    ),
    Case(id="W1 an annotated name", there="size: int = 3", after="size == 3"),
    Case(id="W1 a name with an underscore", there="_private = 1", after="_private == 1"),
    Case(id="W1 a name with two underscores", there="__secret = 1", after="globals()['__secret'] == 1"),
    Case(id="W1 a name beyond ASCII", there="größe = 1", after="größe == 1"),
    Case(id="W1 through globals()", there="globals()['g1'] = 1", after="g1 == 1"),
    Case(id="W1 through exec", there="exec('g2 = 2')", after="g2 == 2"),
    Case(id="W1 through __main__", there="import __main__\n__main__.g3 = 3", after="g3 == 3"),
    Case(id="W1 through get_ipython()", there="get_ipython().user_ns['g4'] = 4", after="g4 == 4"),
    Case(id="W1 through push", there="get_ipython().push({'g5': 5})", after="g5 == 5"),
    Case(id="W1 by a function", here="def define():\n  global g6\n  g6 = 6", there="define()", after="g6 == 6"),
    Case(id="W1 by %time", there="%time g7 = 7", after="g7 == 7"),
    Case(id="W1 below %%time", there="%%time\ng8 = 8", after="g8 == 8"),
    Case(id="W1 by a shell command", there="g9 = !echo a; echo b", after="list(g9) == ['a', 'b']"),
    Case(id="W1 an import", there="import statistics", after="statistics.mean([1, 3]) == 2"),
    Case(id="W1 an import under another name", there="import fractions as fr", after="fr.Fraction(1, 2) * 2 == 1"),
    Case(id="W1 an import of a submodule", there="import xml.dom.minidom", after="xml.dom.minidom.Document()"),
    Case(
        id="W1 the submodule of an import here",
        here="import wsgiref.util",
        there="shift = wsgiref.util.shift_path_info",
        after="callable(shift)",
    ),
    Case(id="W1 an import from", there="from math import tau as turn", after="turn > 6"),
    Case(
        id="W1 a star import", there="from string import *", after="digits == '0123456789' and capwords('a b') == 'A B'"
    ),
    Case(id="W1 a hundred names", there="for i in range(100): globals()[f'many{i}'] = i", after="many0 + many99 == 99"),
    Case(id="W15 del of a name of here", here="gone = [1]", there="del gone", after="'gone' not in globals()"),
    Case(
        id="W15 del of one of two names",
        here="kept = [1]\ntwin = kept\nwas = id(kept)",
        there="kept.append(2)\ndel twin",
        after="'twin' not in globals() and kept == [1, 2] and id(kept) == was",
    ),
    Case(
        id="W15 del and bind anew",
        here="again = [1]\nold = again",
        there="del again\nagain = [2]",
        after="again == [2] and old == [1]",
    ),
    Case(id="W15 del of what the cell made", there="made = 1\ndel made", after="'made' not in globals()"),
    Case(id="W15 del through globals()", here="g10 = 1", there="del globals()['g10']", after="'g10' not in globals()"),
    Case(
        id="W15 del by a function",
        here="g11 = 1\ndef forget():\n  global g11\n  del g11",
        there="forget()",
        after="'g11' not in globals()",
    ),
    Case(id="W15 del of an import", here="import colorsys", there="del colorsys", after="'colorsys' not in globals()"),
    Case(id="W15 del of an item leaves the name", here="row = [1, 2]", there="del row[0]", after="row == [2]"),
    Case(
        id="W15 a name that shadows a builtin",
        here="max = min",
        there="del max\nhi = max(1, 2)",
        after="hi == 2 and 'max' not in globals()",
    ),
]

DEFINED = [
    Case(id="W1 a function", here="base1 = 1", there="def add(x, *, by=2): return x + by + base1", after="add(1) == 4"),
    Case(
        id="W1 a function sees what the notebook binds later",
        there="def late(): return bound_later",
        after="bound_later = 3\nassert late() == 3 and late.__globals__ is globals()",
    ),
    Case(
        id="W1 a function that calls itself",
        there="def fact(n): return n * fact(n - 1) if n else 1",
        after="fact(4) == 24",
    ),
    Case(
        id="W1 a decorated function",
        there="import functools\ndef twice(f):\n  @functools.wraps(f)\n  def inner(*a): return f(*a) * 2\n"
        "  return inner\n"
        "@twice\ndef three(): return 3",
        after="three() == 6 and three.__name__ == 'three' and three.__wrapped__() == 3",
    ),
    Case(id="W1 a lambda in a dict", there="ops = {'dbl': lambda x: x * 2}", after="ops['dbl'](2) == 4"),
    Case(
        id="W1 a generator function",
        there="def count(n):\n  for i in range(n): yield i",
        after="list(count(3)) == [0, 1, 2]",
    ),
    Case(
        id="W1 a coroutine function",
        there="async def soon(): return 5",
        after="import asyncio\nassert asyncio.run(soon()) == 5",
    ),
    Case(id="W1 a partial", there="from functools import partial\ninc = partial(int.__add__, 1)", after="inc(2) == 3"),
    Case(
        id="W1 a bound method",
        there="class Bell:\n  def ring(self): return 'ding'\nring = Bell().ring",
        after="ring() == 'ding'",
    ),
    Case(
        id="W1 a function's code",
        there="def told():\n  'Doc.'\n  return 1",
        after="told.__doc__ == 'Doc.' and told.__module__ == '__main__'",
    ),
    Case(
        id="W1 a class with a base of here",
        here="class Base:\n  def who(self): return 'base'",
        there="class Derived(Base):\n  def who(self): return super().who() + '+'\nd = Derived()",
        after="d.who() == 'base+' and isinstance(d, Base) and type(d) is Derived",
    ),
    Case(
        id="W1 a dataclass",
        there="from dataclasses import dataclass, field\n@dataclass(order=True)\nclass Pt:\n  x: int\n"
        "  tags: list = field(default_factory=list)",
        after="Pt(1) < Pt(2) and Pt(1).tags == [] and Pt(3) == Pt(3)",
    ),
    Case(
        id="W1 a dataclass with slots, frozen",
        there="from dataclasses import dataclass\n@dataclass(slots=True, frozen=True)\nclass Fz:\n  x: int = 1\n"
        "fz = Fz(2)",
        after="fz == Fz(2) and hash(fz) == hash(Fz(2)) and not hasattr(fz, '__dict__')",
    ),
    Case(
        id="W1 an enum",
        there="import enum\nclass Hue(enum.IntEnum):\n  RED = 1\n  BLUE = 2\npick = Hue.RED",
        after="pick is Hue.RED and Hue(2) is Hue.BLUE and Hue['RED'] is pick",
    ),
    Case(
        id="W1 a named tuple",
        there="from typing import NamedTuple\nclass Row(NamedTuple):\n  a: int\n  b: str = 'x'\nrow1 = Row(1)",
        after="row1 == (1, 'x') and type(row1) is Row and row1._replace(a=2).a == 2",
    ),
    Case(
        id="W1 an abstract class and a metaclass",
        there="import abc\nclass Meta(abc.ABCMeta):\n  made = []\n  def __call__(cls, *a):\n"
        "    cls.made.append(cls.__name__)\n    return super().__call__(*a)\n"
        "class Shape(metaclass=Meta):\n  @abc.abstractmethod\n  def area(self): ...\nclass Unit(Shape):\n"
        "  def area(self): return 1\nu = Unit()",
        after="u.area() == 1 and Meta.made == ['Unit'] and type(Unit) is Meta and Unit() "
        "and Meta.made == ['Unit', 'Unit']",
    ),
    Case(
        id="W1 a generic class and a protocol",
        there="from typing import Generic, Protocol, TypeVar\nT = TypeVar('T')\nclass Box(Generic[T]):\n"
        "  def __init__(self, v: T): self.v = v\n"
        "class Named(Protocol):\n  name: str\nb1 = Box[int](3)",
        after="b1.v == 3 and isinstance(b1, Box) and Box[str]('a').v == 'a'",
    ),
    Case(
        id="W1 properties, class and static methods",
        there="class Temp:\n  scale = 2\n  def __init__(self): self._c = 1\n  @property\n"
        "  def c(self): return self._c\n  @c.setter\n  def c(self, v): self._c = v\n"
        "  @classmethod\n  def s(cls): return cls.scale\n  @staticmethod\n  def z(): return 0\nt0 = Temp()",
        after="t0.c = 5\nassert (t0.c, Temp.s(), Temp.z()) == (5, 2, 0)",
    ),
    Case(
        id="W1 a class redefined over there keeps old instances",
        here="class Old:\n  v = 1\nold_one = Old()",
        there="class Old:\n  v = 2\nnew_one = Old()",
        after="(old_one.v, new_one.v, Old.v) == (1, 2, 2) and not isinstance(old_one, Old)",
    ),
    Case(
        id="W1 a type alias and a TypedDict",
        there="from typing import TypedDict\nclass Movie(TypedDict):\n  name: str\nAlias = list[int]",
        after="Movie(name='a') == {'name': 'a'} and Alias == list[int]",
    ),
    Case(
        id="W1 an exception class",
        there="class Broken(ValueError):\n  code = 7",
        after="issubclass(Broken, ValueError) and Broken('x').args == ('x',)",
    ),
    Case(
        id="W1 a pydantic model",
        there="from pydantic import BaseModel\nclass User(BaseModel):\n  name: str\n  tags: list[str] = []\n"
        "user = User(name='a')",
        after="user.model_dump() == {'name': 'a', 'tags': []} and type(user) is User",
    ),
    Case(
        id="W1 a context manager",
        there="from contextlib import contextmanager\n@contextmanager\ndef opened():\n  yield 4",
        after="with opened() as four: pass\nassert four == 4",
    ),
    Case(
        id="W1 a class made by type()",
        there="Made = type('Made', (), {'v': 1, 'get': lambda self: self.v})\nm0 = Made()",
        after="m0.get() == 1 and type(m0) is Made",
    ),
    Case(
        id="W1 a class inside a function",
        there="def factory(n):\n  class Local:\n    size = n\n    def get(self): return n\n  return Local\n"
        "Local3 = factory(3)\nlocal3 = Local3()",
        after="local3.get() == 3 and type(local3) is Local3",
    ),
    Case(
        id="W1 singledispatch",
        there="from functools import singledispatch\n@singledispatch\ndef show(x): return 'any'\n@show.register\n"
        "def _int(x: int): return 'int'",
        after="(show(1), show('')) == ('int', 'any')",
    ),
]

RESULTS = [
    Case(id="W14 the last expression", there="[1, 2]", after="_ == [1, 2] and Out[max(Out)] is _"),
    Case(
        id="W14 it is what a name is bound to",
        here="box = [1]",
        there="box.append(2)\nbox",
        after="_ is box and box == [1, 2]",
    ),
    Case(
        id="W14 it is part of what a name is bound to",
        here="nest = {'a': [1]}",
        there="nest['a']",
        after="_ is nest['a']",
    ),
    Case(id="W14 an unchanged int", here="n14 = 5", there="n14", after="_ == 5"),
    Case(id="W14 None leaves _ alone", here="'before'", there="None", after="_ == 'before'"),
    Case(id="W14 a semicolon hides it", here="'seen'", there="'hidden';", after="_ == 'seen'"),
    Case(id="W14 an awaited value", there="import asyncio\nawait asyncio.sleep(0, 'slept')", after="_ == 'slept'"),
    Case(id="W14 a class", there="class Res: pass\nRes", after="_ is Res"),
    Case(
        id="W14 a line's value",
        there="pass",
        after="z14 = %gpu A100 [1] * 2\nassert z14 == [1, 1]",
        here_differs="%gpu is ours",
    ),
    Case(id="W14 the one before", here="'first'", there="_ + ' second'", after="(_, __) == ('first second', 'first')"),
    Case(id="W14 changed through Out", here="out_list = []\nout_list", there="_.append(1)", after="out_list == [1]"),
]

CASES = [*BINDING, *DEFINED, *RESULTS]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
