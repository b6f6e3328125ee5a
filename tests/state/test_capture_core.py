"""State in: what a cell reads is there, however it gets to it. One or two rows of every case; the rest is in the
other `test_capture_*.py`."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = pytest.mark.timeout(300)

CASES = [
    Case(id="C1 plain read", here="a1 = 3", there="r = a1 + 1", after="r == 4"),
    Case(
        id="C1 in a subscript and a slice", here="idx = 1\nxs1 = [5, 6, 7]", there="r = xs1[idx:]", after="r == [6, 7]"
    ),
    Case(id="C2 augmented number", here="a2 = 3", there="a2 += 4", after="a2 == 7"),
    Case(
        id="C2 augmented list keeps its alias",
        here="l2 = [1]\nm2 = l2",
        there="l2 += [2]",
        after="m2 == [1, 2] and m2 is l2",
    ),
    Case(
        id="C3 through two functions",
        here="k31 = 4\ndef g31(): return k31\ndef f31(): return g31()",
        there="r = f31()",
        after="r == 4",
    ),
    Case(
        id="C3 mutual recursion",
        here=(
            "stop3 = 0\ndef even(n): return True if n == stop3 else odd(n - 1)\n"
            "def odd(n): return False if n == stop3 else even(n - 1)"
        ),
        there="r = even(6), odd(6)",
        after="r == (True, False)",
    ),
    Case(
        id="C3 function that deletes a global",
        here="k36 = 1\ndef del36():\n    global k36\n    del k36",
        there="del36()",
        after="'k36' not in globals()",
    ),
    Case(
        id="C4 method",
        here="k4 = 9\nclass M4:\n    def fit(self): return k4\nm4 = M4()",
        there="r = m4.fit()",
        after="r == 9",
    ),
    Case(
        id="C4 cached_property",
        here=(
            "from functools import cached_property\nk43 = 4\nclass M43:\n    @cached_property\n"
            "    def p(self): return k43\nm43 = M43()"
        ),
        there="r = m43.p",
        after="r == 4 and m43.__dict__ == {'p': 4}",
    ),
    Case(
        id="C4 __getattr__",
        here=(
            "k44 = 5\nclass M44:\n    def __getattr__(self, name):\n"
            "        if name.startswith('_'): raise AttributeError(name)\n        return k44\nm44 = M44()"
        ),
        there="r = m44.anything",
        after="r == 5",
    ),
    Case(
        id="C4 __call__",
        here="k46 = 7\nclass M46:\n    def __call__(self, x): return x + k46\nm46 = M46()",
        there="r = m46(1)",
        after="r == 8",
    ),
    Case(
        id="C4 inherited method calls a function",
        here=(
            "def h412(): return k412\nk412 = 1\nclass B412:\n    def go(self): return h412()\n"
            "class M412(B412):\n    def go(self): return super().go() + 1\nm412 = M412()"
        ),
        there="r = m412.go()",
        after="r == 2",
    ),
    Case(
        id="C5 callable in a dict",
        here="off = 2\nD5 = {'f': lambda x: x + off}",
        there="r = D5['f'](1)",
        after="r == 3",
    ),
    Case(
        id="C5 partial",
        here=(
            "from functools import partial\noff52 = 3\ndef add52(a, b): return a + b + off52\np52 = partial(add52, 1)"
        ),
        there="r = p52(2)",
        after="r == 6",
    ),
    Case(
        id="C5 lru_cache",
        here="from functools import lru_cache\noff54 = 4\n@lru_cache\ndef c54(x): return x + off54",
        there="r = c54(1), c54(1)",
        after="r == (5, 5) and c54(2) == 6",
    ),
    Case(
        id="C5 decorated with wraps",
        here=(
            "from functools import wraps\nlog56 = []\ndef deco56(f):\n    @wraps(f)\n"
            "    def inner(*a): log56.append(f.__name__); return f(*a)\n    return inner\noff56 = 1\n"
            "@deco56\ndef g56(x): return x + off56"
        ),
        there="r = g56(1)",
        after="r == 2 and log56 == ['g56'] and g56.__wrapped__(1) == 2",
    ),
    Case(
        id="C5 contextmanager",
        here=(
            "from contextlib import contextmanager\nlog59 = []\n@contextmanager\ndef cm59():\n"
            "    log59.append('in')\n    yield 5\n    log59.append('out')"
        ),
        there="with cm59() as v59: pass",
        after="log59 == ['in', 'out'] and v59 == 5",
    ),
    Case(
        id="C5 singledispatch",
        here=(
            "from functools import singledispatch\noff510 = 3\n@singledispatch\n"
            "def sd510(x): return 'any'\n@sd510.register\ndef _sd_int(x: int): return x + off510"
        ),
        there="r = sd510(1), sd510('a')",
        after="r == (4, 'any')",
    ),
    Case(
        id="C6 nonlocal counter",
        here=(
            "def mk62():\n    c = 0\n    def inc():\n        nonlocal c\n        c += 1\n        return c\n"
            "    return inc\ninc62 = mk62()"
        ),
        there="inc62(); inc62()",
        after="inc62() == 3",
    ),
    Case(
        id="C6 empty cell",
        here="def mk64():\n    def f(): return later\n    if False: later = 1\n    return f\nf64 = mk64()",
        there="try:\n    f64()\nexcept NameError as e64: r = 'empty'",
        after="r == 'empty'",
    ),
    Case(
        id="C6 zero-argument super and __class__",
        here=(
            "class B69:\n    def who(self): return __class__.__name__\nclass C69(B69):\n"
            "    def who(self): return super().who() + __class__.__name__\nc69 = C69()"
        ),
        there="r = c69.who()",
        after="r == 'B69C69'",
    ),
    Case(
        id="C7 default arguments",
        here="base7 = 3",
        there="def f7(x=base7, *, y=base7 + 1): return x + y\nr = f7()",
        after="r == 7 and f7() == 7",
    ),
    Case(
        id="C7 metaclass",
        here=(
            "made73 = []\nclass Meta73(type):\n    def __new__(m, n, b, d):\n        made73.append(n)\n"
            "        return super().__new__(m, n, b, d)"
        ),
        there="class C73(metaclass=Meta73): pass",
        after="made73 == ['C73'] and type(C73) is Meta73",
    ),
    Case(
        id="C7 __init_subclass__",
        here=("subs76 = []\nclass B76:\n    def __init_subclass__(cls, **kw): subs76.append((cls.__name__, kw))"),
        there="class C76(B76, tag=1): pass",
        after="subs76 == [('C76', {'tag': 1})]",
    ),
    Case(
        id="C7 dataclass defaults",
        here="from dataclasses import dataclass, field\nk78 = 4\ndef make78(): return [k78]",
        there=("@dataclass\nclass C78:\n    a: int = k78\n    b: list = field(default_factory=make78)\nr = C78()"),
        after="(r.a, r.b) == (4, [4]) and C78(1).b == [4] and C78() == r",
    ),
    Case(
        id="C7 class body reads globals",
        here="k75 = 5",
        there=(
            "class C75:\n    y = k75\n    z = [k75 + i for i in range(2)]\n    def m(self): return k75\n"
            "r = C75.y, C75.z, C75().m()"
        ),
        after="r == (5, [5, 6], 5) and C75().m() == 5",
    ),
    Case(
        id="C8 comprehension target does not leak",
        here="xs8 = [1, 2]\ni8 = 'mine'",
        there="r = [i8 * 2 for i8 in xs8]",
        after="r == [2, 4] and i8 == 'mine'",
    ),
    Case(
        id="C8 comprehension in a class body",
        here="xs85, k85 = [1, 2], 2",
        there="class C85:\n    v = [x * k85 for x in xs85]\nr = C85.v",
        after="r == [2, 4]",
    ),
    Case(
        id="C9 walrus in a comprehension",
        here="xs9 = [1, 2, 3]",
        there="r = [y9 for x in xs9 if (y9 := x * 2) > 2]",
        after="r == [4, 6] and y9 == 6",
    ),
    Case(
        id="C9 match captures",
        here="cmd92 = ('go', {'to': 3, 'fast': True}, 1, 2)",
        there="match cmd92:\n    case (verb92, {'to': to92, **rest92}, *more92): r = verb92",
        after="(verb92, to92, rest92, more92) == ('go', 3, {'fast': True}, [1, 2])",
    ),
    Case(
        id="C9 except as is unbound afterwards",
        here="e94 = 'mine'",
        there="try:\n    1 / 0\nexcept ZeroDivisionError as e94:\n    r = str(e94)",
        after="r == 'division by zero' and 'e94' not in globals()",
    ),
    Case(
        id="C9 star unpack",
        here="xs910 = [1, 2, 3, 4]",
        there="first910, *mid910, last910 = xs910\nr = [*mid910, *xs910], {**{'a': 1}}",
        after="(first910, mid910, last910) == (1, [2, 3], 4) and r[0] == [2, 3, 1, 2, 3, 4]",
    ),
    Case(
        id="C9 del then read raises",
        here="gone914 = 1",
        there="del gone914\ngone914",
        after="'gone914' not in globals()",
        raises="NameError",
    ),
    Case(id="C9 global at top level", here="k916 = 1", there="global k916\nk916 += 1", after="k916 == 2"),
    Case(
        id="C9 bound and deleted in the cell",
        here="gone9b = 1",
        there="gone9b = 2\ndel gone9b\ntry:\n    gone9b\nexcept NameError: r = 'gone'",
        after="r == 'gone' and 'gone9b' not in globals()",
    ),
    Case(
        id="C9 deleted what cannot travel",
        here="gone9g = (i for i in [1])",
        there="del gone9g",
        after="'gone9g' not in globals()",
    ),
    Case(
        id="C10 branch not taken",
        here="class Bad10:\n    def __reduce__(self): raise TypeError('never')\nflag10, bad10 = False, [1]",
        there="r = bad10 if flag10 else 0",
        after="r == 0",
    ),
    Case(
        id="C11 eval in a function of the notebook",
        here="a112 = 3\ndef ev112(t): return eval(t)",
        there="r = ev112('a112 + 1')",
        after="r == 4",
    ),
    Case(
        id="C11 exec into a namespace of its own",
        here="code116 = 'y = 2\\ndef f(): return y'",
        there="ns116 = {}\nexec(code116, ns116)\nr = ns116['f']()",
        after="r == 2 and ns116['y'] == 2 and ns116['f']() == 2",
    ),
    Case(
        id="C11 a namespace that exec filled here",
        here="ns117 = {}\nexec('y = 2\\ndef f(): return y', ns117)",
        there="r = ns117['f']()\nns117['z'] = 1",
        after="r == 2 and ns117['z'] == 1",
    ),
    Case(id="C11 globals item", here="a121 = 3", there="r = globals()['a121']", after="r == 3"),
    Case(
        id="C11 locals formats a text",
        here="name129 = 'Ada'",
        there="r = '{name129}!'.format(**locals())",
        after="r == 'Ada!'",
    ),
    Case(
        id="C11 main module",
        here="a134 = 3",
        there="import __main__\nr = __main__.a134, getattr(__main__, 'a134'), hasattr(__main__, 'nope134')",
        after="r == (3, 3, False)",
    ),
    Case(
        id="C11 user_ns",
        here="a139 = 3",
        there="r = get_ipython().user_ns['a139']\nget_ipython().user_ns['b139'] = 4",
        after="r == 3 and b139 == 4",
    ),
    Case(
        id="C11 frame globals",
        here="a143 = 3",
        there="import sys\nr = sys._getframe().f_globals['a143']",
        after="r == 3",
    ),
    Case(
        id="C11 pop from globals",
        here="gone11p = [1]",
        there="r = globals().pop('gone11p')",
        after="r == [1] and 'gone11p' not in globals()",
    ),
    Case(
        id="C11 doctest of the notebook's function",
        here=(
            "import doctest\ndef dt11(x):\n    '''\n    >>> dt11(1)\n    2\n    '''\n    return x + off11\noff11 = 1"
        ),
        there="r = doctest.testmod(verbose=False)",
        after="r.failed == 0 and r.attempted >= 1",
    ),
    Case(
        id="C11 inspect of a function of the notebook",
        here="def src11():\n    return 'body'\nimport inspect",
        there="r = inspect.signature(src11), inspect.getsource(src11)",
        after="str(r[0]) == '()' and 'body' in r[1]",
    ),
    Case(
        id="C12 f-string",
        here="a12 = 3.14159\nw12, p12 = 8, 2",
        there="r = f'{a12:{w12}.{p12}f}|{a12!r}|{a12=}'",
        after="r == '    3.14|3.14159|a12=3.14159'",
    ),
    Case(
        id="C12 get_type_hints of a class",
        here="import typing\nclass N124: pass\nclass H124:\n    n: 'N124'",
        there="r = typing.get_type_hints(H124)['n']",
        after="r is N124",
    ),
    Case(
        id="C12 TypeVar and Generic",
        here=(
            "from typing import TypeVar, Generic\nT126 = TypeVar('T126')\nclass Box126(Generic[T126]):\n"
            "    def __init__(self, x): self.x = x"
        ),
        there="r = Box126[int](3)\ns126 = T126",
        after="r.x == 3 and type(r) is Box126 and s126 is T126",
    ),
    Case(id="C13 time line magic", here="a13 = 3", there="%time r = a13 + 1", after="r == 4"),
    Case(
        id="C13 time cell magic below",
        here="a131 = 3",
        there="%%time\nb131 = a131 + 1\nr = b131",
        after="r == 4 and b131 == 4",
    ),
    Case(
        id="C13 capture cell magic",
        here="a132 = 'said'",
        there="%%capture out132\nprint(a132)\nr = 1",
        after="out132.stdout == 'said\\n' and r == 1",
    ),
    Case(
        id="C13 shell command with a name",
        here="word136 = 'hi'",
        there="r = !echo $word136 {word136.upper()}",
        after="list(r) == ['hi HI']",
    ),
    Case(
        id="C13 run a script with arguments",
        here=("__import__('pathlib').Path('s143.py').write_text('import sys\\nargs143 = sys.argv[1:]\\n')\nk143 = 5"),
        there="%run s143.py a $k143",
        after="args143 == ['a', '5']",
    ),
    Case(id="C13 Out", here="n154 = get_ipython().execution_count - 1\n[6]", there="r = Out[n154]", after="r == [6]"),
    Case(
        id="C13 In", here="n156 = get_ipython().execution_count - 1", there="r = In[n156]", after="r.startswith('n156')"
    ),
    Case(id="C13 last input", here="mark158 = 1", there="r = _i", after="'mark158' in r"),
    Case(
        id="C14 top-level await",
        here="import asyncio\nasync def co14(): return k14\nk14 = 4",
        there="r = await co14()",
        after="r == 4",
    ),
    Case(
        id="C14 async generator",
        here="async def ag142():\n    for i in range(3): yield i + k142\nk142 = 1",
        there="r = [x async for x in ag142()]\nasync for y142 in ag142(): pass",
        after="r == [1, 2, 3] and y142 == 3",
    ),
    Case(
        id="C15 user variable shadows a builtin",
        here="sum = lambda xs: 'mine'",
        there="r = sum([1])",
        after="r == 'mine'",
    ),
    Case(id="C15 shadowed builtin given back", here="del sum", there="r = sum([1, 2])", after="r == 3"),
    Case(
        id="C15 variable shadows an imported module",
        here="import json\njson = {'not': 'a module'}",
        there="r = json['not']",
        after="r == 'a module'",
    ),
    Case(id="C15 module imported again in the cell", there="import json\nr = json.dumps([1])", after="r == '[1]'"),
    Case(id="C16 alias of a module", here="import math as m16", there="r = m16.floor(2.5)", after="r == 2"),
    Case(id="C16 star import", here="from math import *", there="r = gcd(4, 6)", after="r == 2"),
    Case(
        id="C16 names with underscores at both ends",
        here="__version__ = '1.2'\n__all__ = ['a']",
        there="r = __version__, __all__\n__author__ = 'me'",
        after="r == ('1.2', ['a']) and __author__ == 'me'",
    ),
    Case(
        id="C18 class and instance",
        here=(
            "class A18:\n    n = 0\n    def __init__(self, x): self.x = x\n"
            "    def up(self): self.x += 1; A18.n += 1\na18 = A18(1)"
        ),
        there="a18.up()\nb18 = A18(5)",
        after="a18.x == 2 and A18.n == 1 and type(a18) is A18 and type(b18) is A18",
    ),
    Case(
        id="C18 enum",
        here="import enum\nclass E18(enum.Enum):\n    A = 1\n    B = 2\ne18 = E18.A",
        there="ok = e18 is E18.A and E18(2) is E18.B and e18 in {E18.A: 1}\nf18 = E18.B",
        after="ok and f18 is E18.B and e18 is E18.A",
    ),
    Case(
        id="C18 dataclass",
        here=(
            "from dataclasses import dataclass, field, replace, asdict\n@dataclass(order=True)\n"
            "class D18:\n    x: int\n    tags: list = field(default_factory=list)\nd18 = D18(1)"
        ),
        there="d18.tags.append('a')\ne182 = replace(d18, x=2)\nr = asdict(d18), d18 < e182",
        after=(
            "d18.tags == ['a'] and e182 == D18(2, ['a']) and r == ({'x': 1, 'tags': ['a']}, True) and type(e182) is D18"
        ),
    ),
    Case(
        id="C18 NamedTuple",
        here=(
            "from typing import NamedTuple\nclass NT18(NamedTuple):\n    a: int\n    b: int = 2\n"
            "    def total(self): return self.a + self.b\nnt18 = NT18(1)"
        ),
        there="r = nt18.total()\nnu18 = nt18._replace(a=5)",
        after="r == 3 and nu18 == NT18(5) and type(nu18) is NT18",
    ),
    Case(
        id="C18 slots",
        here=("class S18:\n    __slots__ = ('v', 'w')\n    def __init__(self): self.v = 1\ns18 = S18()\nt18 = s18"),
        there="s18.v += 1\ns18.w = [1]",
        after="t18.v == 2 and t18.w == [1] and t18 is s18 and not hasattr(s18, '__dict__')",
    ),
    Case(
        id="C18 abstract base class",
        here=(
            "from abc import ABC, abstractmethod\nclass Sh18(ABC):\n    @abstractmethod\n"
            "    def area(self): ...\nclass Sq18(Sh18):\n    def area(self): return 4"
        ),
        there="sq18 = Sq18()\ntry:\n    Sh18()\nexcept TypeError: r = sq18.area(), isinstance(sq18, Sh18)",
        after="r == (4, True) and isinstance(sq18, Sh18)",
    ),
    Case(
        id="C18 class redefined, old instance kept",
        here=(
            "class R18:\n    def who(self): return 'old'\nold18 = R18()\nclass R18:\n"
            "    def who(self): return 'new'\nnew18 = R18()"
        ),
        there=("r = old18.who(), new18.who(), isinstance(old18, R18), type(old18) is type(new18)\nnewer18 = R18()"),
        after=(
            "r == ('old', 'new', False, False) and newer18.who() == 'new' and old18.who() == 'old' "
            "and type(newer18) is R18"
        ),
    ),
    Case(
        id="C11 fork pool reads globals",
        here="import multiprocessing as mp\noff11f = 5\ndef wk11(x): return x + off11f",
        there="with mp.get_context('fork').Pool(2) as pool:\n    r = pool.map(wk11, range(4))\ndel pool",
        after="r == [5, 6, 7, 8]",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
