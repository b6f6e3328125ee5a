"""State in, classes of the notebook: C18."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(
        id="C18 flag and int enum",
        here=(
            "import enum\nclass F18(enum.Flag):\n    R = enum.auto()\n    W = enum.auto()\n"
            "class I18(enum.IntEnum):\n    X = 3\nf182 = F18.R | F18.W"
        ),
        there="r = F18.R in f182, I18.X + 1, f182 == F18.R | F18.W",
        after="r == (True, 4, True)",
    ),
    Case(
        id="C18 frozen dataclass with slots",
        here=(
            "from dataclasses import dataclass, replace\n@dataclass(frozen=True, slots=True)\n"
            "class DS18:\n    x: int\n    y: str = 'a'\nds18 = DS18(1)"
        ),
        there="es18 = replace(ds18, x=2)\nr = hash(ds18) == hash(DS18(1)), ds18 in {DS18(1)}",
        after="es18 == DS18(2) and r == (True, True) and not hasattr(es18, '__dict__')",
    ),
    Case(
        id="C18 namedtuple",
        here=("from collections import namedtuple\nP18 = namedtuple('P18', 'x y', defaults=[0])\np18 = P18(1)"),
        there="q18 = P18(*p18)._replace(y=3)",
        after="q18 == (1, 3) and type(q18) is P18",
    ),
    Case(
        id="C18 generic class",
        here=(
            "from typing import Generic, TypeVar\nT18 = TypeVar('T18')\nclass G18(Generic[T18]):\n"
            "    def __init__(self, x: T18): self.x = x\ng18 = G18[int](1)"
        ),
        there="h18 = G18(g18.x + 1)",
        after="h18.x == 2 and type(h18) is G18",
    ),
    Case(
        id="C18 virtual subclass",
        here="from abc import ABC\nclass V18(ABC): pass\nV18.register(int)",
        there="class W18: pass\nV18.register(W18)\nr = isinstance(3, V18), issubclass(W18, V18)",
        after="r == (True, True) and isinstance(3, V18)",
    ),
    Case(
        id="C18 protocol",
        here=(
            "from typing import Protocol, runtime_checkable\n@runtime_checkable\nclass Pr18(Protocol):\n"
            "    def go(self) -> int: ...\nclass Im18:\n    def go(self): return 1"
        ),
        there="r = isinstance(Im18(), Pr18)",
        after="r",
    ),
    Case(
        id="C18 TypedDict",
        here="from typing import TypedDict\nclass TD18(TypedDict, total=False):\n    a: int",
        there="td18 = TD18(a=1)\nr = TD18.__annotations__",
        after="td18 == {'a': 1} and r == {'a': int}",
    ),
    Case(
        id="C18 pydantic model",
        here=(
            "import pydantic\nclass M18(pydantic.BaseModel):\n    x: int\n    tags: list[str] = []\nm18 = M18(x='1')"
        ),
        there="m18.tags.append('a')\nn18 = M18(x=m18.x + 1)\nr = m18.model_dump()",
        after="m18.tags == ['a'] and n18 == M18(x=2) and r == {'x': 1, 'tags': ['a']} and type(n18) is M18",
    ),
    Case(
        id="C18 pydantic model with a validator and another model",
        here=(
            "import pydantic\nclass In18(pydantic.BaseModel):\n    n: int\n"
            "    @pydantic.field_validator('n')\n    @classmethod\n    def up(cls, v): return v + bias18\n"
            "class Out18(pydantic.BaseModel):\n    part: In18\nbias18 = 10"
        ),
        there=(
            "o18 = Out18(part={'n': 1})\nr = o18.part.n\ntry:\n    Out18(part={'n': 'x'})\n"
            "except pydantic.ValidationError as e: bad = e.error_count()"
        ),
        after="r == 11 and bad == 1 and o18.part.n == 11",
    ),
    Case(
        id="C18 attrs class",
        here=(
            "import attrs\n@attrs.define\nclass At18:\n    x: int = 1\n"
            "    y: list = attrs.field(factory=list)\nat18 = At18()"
        ),
        there="at18.y.append(1)\nbt18 = attrs.evolve(at18, x=2)",
        after="at18.y == [1] and bt18 == At18(2, [1])",
    ),
    Case(
        id="C18 class redefined in the cell",
        here="class Q18:\n    def who(self): return 'old'\noldq18 = Q18()",
        there="class Q18:\n    def who(self): return 'new'\nr = oldq18.who(), Q18().who()",
        after=(
            "r == ('old', 'new') and oldq18.who() == 'old' and Q18().who() == 'new' and not isinstance(oldq18, Q18)"
        ),
    ),
    Case(
        id="C18 class redefined after a remote cell",
        here="class Q18:\n    def who(self): return 'newest'",
        there="r = oldq18.who(), Q18().who()",
        after="r == ('old', 'newest')",
    ),
    Case(
        id="C18 method added to a class here",
        here="class Late18: pass\nlate18 = Late18()",
        there="r = hasattr(late18, 'go')",
        after="r is False",
    ),
    Case(
        id="C18 method added to a class here, seen there",
        here="Late18.go = lambda self: 'went'",
        there="r = late18.go(), Late18().go()",
        after="r == ('went', 'went')",
    ),
    Case(
        id="C18 method added to a class there",
        here="class Add18: pass\nadd18 = Add18()",
        there="Add18.hi = lambda self: 'hi'",
        after="add18.hi() == 'hi' and Add18().hi() == 'hi'",
    ),
    Case(
        id="C18 subclass of a library's class",
        here=(
            "class L18(list):\n    def total(self): return sum(self)\nclass X18(ValueError):\n"
            "    def __init__(self, code): super().__init__(f'code {code}'); self.code = code\n"
            "l18 = L18([1, 2])"
        ),
        there="l18.append(3)\nr = l18.total()\nx18 = X18(5)",
        after="r == 6 and type(l18) is L18 and x18.code == 5 and str(x18) == 'code 5'",
    ),
    Case(
        id="C18 exception of the notebook ends the cell",
        here="class Ex18(Exception): pass",
        there="raise Ex18('why')",
        raises="Ex18",
    ),
    Case(
        id="C18 metaclass registry",
        here=(
            "reg18 = {}\nclass Reg18(type):\n"
            "    def __init__(cls, name, bases, ns): super().__init__(name, bases, ns); reg18[name] = cls\n"
            "class Base18(metaclass=Reg18): pass"
        ),
        there="class Child18(Base18): pass\nr = sorted(reg18)",
        after="r == ['Base18', 'Child18'] and sorted(reg18) == r and reg18['Child18'] is Child18",
    ),
    Case(
        id="C18 singleton by __new__",
        here=(
            "class One18:\n    _it = None\n    def __new__(cls):\n"
            "        if cls._it is None: cls._it = super().__new__(cls)\n        return cls._it\n"
            "one18 = One18()"
        ),
        there="r = One18() is one18",
        after="r and One18() is one18",
    ),
    Case(
        id="C18 __reduce__ and __getstate__ of the notebook",
        here=(
            "class St18:\n    def __init__(self): self.x, self.cache = 1, lambda: None\n"
            "    def __getstate__(self): return {'x': self.x}\n"
            "    def __setstate__(self, s): self.__dict__.update(s); self.cache = None\nst18 = St18()"
        ),
        there="r = st18.x",
        after="r == 1",
    ),
    Case(
        id="C18 inner class",
        here=(
            "class O18:\n    class In:\n        def __init__(self): self.v = 1\n"
            "    def make(self): return self.In()\noi18 = O18().make()"
        ),
        there="r = type(oi18) is O18.In, O18().make().v",
        after="r == (True, 1) and type(oi18) is O18.In",
    ),
    Case(
        id="C18 class made in a function",
        here=(
            "def mkc18(n):\n    class Made:\n        def get(self): return n\n    return Made\n"
            "Mc18 = mkc18(4)\nmc18 = Mc18()"
        ),
        there="r = mc18.get(), type(mc18) is Mc18",
        after="r == (4, True)",
    ),
    Case(
        id="C18 cyclic instances",
        here=(
            "class N18:\n    def __init__(self): self.other = None\nna18, nb18 = N18(), N18()\n"
            "na18.other, nb18.other = nb18, na18"
        ),
        there="na18.other.tag = 1",
        after="nb18.tag == 1 and nb18.other is na18",
    ),
    Case(
        id="C18 weak references between instances",
        here="import weakref\nclass Wk18: pass\nwk18 = Wk18()\nwk18.ref = None",
        there="r = weakref.ref(wk18)() is wk18",
        after="r",
    ),
    Case(
        id="C18 total_ordering and hash",
        here=(
            "from functools import total_ordering\n@total_ordering\nclass To18:\n"
            "    def __init__(self, v): self.v = v\n    def __eq__(self, o): return self.v == o.v\n"
            "    def __lt__(self, o): return self.v < o.v\n    def __hash__(self): return hash(self.v)\n"
            "to18 = [To18(3), To18(1)]"
        ),
        there="r = [x.v for x in sorted(to18)], To18(1) in set(to18), To18(1) >= To18(0)",
        after="r == ([1, 3], True, True)",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
