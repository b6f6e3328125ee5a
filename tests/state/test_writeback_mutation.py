"""State back, the values: what changes in place over there changes in place here, and aliases stay aliases."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = pytest.mark.timeout(120)


def _in_place(what: str, made: str, change: str, then: str) -> Case:
    """Return a row whose value `v` must stay the object it was, under both its names."""
    here = f"{made}\nw = v\nwas = id(v)"
    return Case(id=f"W2 {what}", here=here, there=change, after=f"id(v) == was and w is v and ({then})")


CONTAINERS = [
    _in_place("list append", "v = [1]", "v.append(2)", "v == [1, 2]"),
    _in_place(
        "list extend, insert, pop, remove",
        "v = [1, 2]",
        "v.extend([3, 4]); v.insert(0, 0); v.pop(); v.remove(1)",
        "v == [0, 2, 3]",
    ),
    _in_place("list sort and reverse", "v = [2, 1, 3]", "v.sort(); v.reverse()", "v == [3, 2, 1]"),
    _in_place("list slice", "v = [1, 2, 3, 4]", "v[1:3] = 'abc'", "v == [1, 'a', 'b', 'c', 4]"),
    _in_place("list slice with a step", "v = [1, 2, 3, 4]", "v[::2] = 'ab'", "v == ['a', 2, 'b', 4]"),
    _in_place("list del of a slice", "v = [1, 2, 3, 4]", "del v[1:]", "v == [1]"),
    _in_place("list += and *=", "v = [1]", "v += [2]; v *= 2", "v == [1, 2, 1, 2]"),
    _in_place("list clear", "v = [1]", "v.clear()", "v == []"),
    _in_place("a heap", "import heapq\nv = [3, 5]", "heapq.heappush(v, 1)", "v[0] == 1"),
    _in_place("list in a tuple", "v = ([1], 2)", "v[0].append(2)", "v == ([1, 2], 2)"),
    _in_place("dict item", "v = {'a': 1}", "v['b'] = 2; v['a'] += 5", "v == {'a': 6, 'b': 2}"),
    _in_place(
        "dict update, pop, setdefault",
        "v = {'a': 1}",
        "v.update(b=2); v.pop('a'); v.setdefault('c', []).append(3)",
        "v == {'b': 2, 'c': [3]}",
    ),
    _in_place("dict |=", "v = {'a': 1}", "v |= {'b': 2}", "v == {'a': 1, 'b': 2}"),
    _in_place("dict order", "v = {'a': 1, 'b': 2}", "v['a'] = v.pop('a')", "list(v) == ['b', 'a']"),
    _in_place("dict clear", "v = {'a': 1}", "v.clear()", "v == {}"),
    _in_place("dict with tuples as keys", "v = {(1, 'a'): []}", "v[1, 'a'].append(1)", "v == {(1, 'a'): [1]}"),
    _in_place(
        "dict of dicts",
        "v = {'a': {'b': {}}}\nin2 = v['a']['b']",
        "v['a']['b']['c'] = 1",
        "v['a']['b'] is in2 and in2 == {'c': 1}",
    ),
    _in_place("set add and discard", "v = {1, 2}", "v.add(3); v.discard(1)", "v == {2, 3}"),
    _in_place("set operators", "v = {1, 2}", "v |= {3}; v &= {2, 3}; v ^= {9}", "v == {2, 3, 9}"),
    _in_place(
        "deque",
        "from collections import deque\nv = deque([1, 2], maxlen=3)",
        "v.appendleft(0); v.append(3); v.rotate(1)",
        "list(v) == [3, 1, 2] and v.maxlen == 3",
    ),
    _in_place(
        "defaultdict",
        "from collections import defaultdict\nv = defaultdict(list)",
        "v['a'].append(1)",
        "v == {'a': [1]} and v['b'] == []",
    ),
    _in_place(
        "Counter",
        "from collections import Counter\nv = Counter('ab')",
        "v.update('bc'); v['z'] -= 1",
        "v == Counter(a=1, b=2, c=1, z=-1)",
    ),
    _in_place(
        "OrderedDict",
        "from collections import OrderedDict\nv = OrderedDict(a=1, b=2)",
        "v.move_to_end('a')",
        "list(v) == ['b', 'a']",
    ),
    _in_place(
        "ChainMap",
        "from collections import ChainMap\nv = ChainMap({}, {'a': 1})",
        "v['b'] = 2",
        "v.maps == [{'b': 2}, {'a': 1}]",
    ),
    _in_place(
        "UserDict and UserList",
        "from collections import UserDict, UserList\nv = UserDict(a=UserList([1]))",
        "v['a'].append(2)",
        "v['a'] == [1, 2]",
    ),
    _in_place("bytearray", "v = bytearray(b'ab')", "v += b'c'; v[0] = 65", "v == b'Abc'"),
    _in_place(
        "array.array", "import array\nv = array.array('d', [1, 2])", "v[0] = 5; v.append(7)", "v.tolist() == [5, 2, 7]"
    ),
    _in_place("a list that holds itself", "v = [1]\nv.append(v)", "v.insert(0, 0)", "v[0] == 0 and v[2] is v"),
    _in_place(
        "a subclass of list with attributes",
        "class L(list): pass\nv = L([1])\nv.tag = []",
        "v.append(2); v.tag.append(3)",
        "v == [1, 2] and v.tag == [3] and type(v) is L",
    ),
    _in_place(
        "a subclass of dict with a way of its own",
        "class D(dict):\n  def __setitem__(self, k, x): super().__setitem__(k.lower(), x)\nv = D(a=1)",
        "v['B'] = 2",
        "v == {'a': 1, 'b': 2}",
    ),
    _in_place(
        "a subclass of set",
        "class St(set): pass\nv = St([1])",
        "v.add(2); v.note = 'n'",
        "v == {1, 2} and v.note == 'n'",
    ),
]

OBJECTS = [
    _in_place("attribute", "class O: pass\nv = O()\nv.x = 1", "v.x = 2; v.y = 3", "(v.x, v.y) == (2, 3)"),
    _in_place(
        "setattr and delattr",
        "class O: pass\nv = O()\nv.x = 1",
        "setattr(v, 'z', 4); delattr(v, 'x')",
        "vars(v) == {'z': 4}",
    ),
    _in_place("through __dict__", "class O: pass\nv = O()", "v.__dict__.update(x=1)", "v.x == 1"),
    _in_place(
        "slots",
        "class S:\n  __slots__ = ('a', 'b', '__weakref__')\nv = S()\nv.a = 1",
        "v.b = [2]; del v.a",
        "v.b == [2] and not hasattr(v, 'a')",
    ),
    _in_place(
        "slots and a dict by inheritance",
        "class S0:\n  __slots__ = ('a',)\nclass S1(S0): pass\nv = S1()\nv.a = 1",
        "v.a = 2; v.b = 3",
        "(v.a, v.b) == (2, 3)",
    ),
    _in_place(
        "a private slot",
        "class S2:\n  __slots__ = ('__p',)\n  def put(self, x): self.__p = x\n  def get(self): return self.__p\n"
        "v = S2()\nv.put(1)",
        "v.put(2)",
        "v.get() == 2",
    ),
    _in_place(
        "a property's setter",
        "class P:\n  n = 0\n  @property\n  def x(self): return self._x\n  @x.setter\n"
        "  def x(self, x): self._x = x; self.n += 1\nv = P()",
        "v.x = 5",
        "(v.x, v.n) == (5, 1)",
    ),
    _in_place(
        "a class with __setattr__ of its own",
        "class G:\n  def __setattr__(self, k, x): raise AttributeError(k)\nv = G()",
        "v.__dict__['x'] = 1",
        "v.x == 1",
    ),
    _in_place(
        "a dataclass",
        "from dataclasses import dataclass, field\n@dataclass\nclass DC:\n  a: int = 1\n"
        "  l: list = field(default_factory=list)\nv = DC()",
        "v.a += 1; v.l.append(v.a)",
        "v == DC(2, [2])",
    ),
    _in_place(
        "a dataclass with slots",
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass DS:\n  a: int = 1\nv = DS()",
        "v.a = 9",
        "v.a == 9",
    ),
    _in_place(
        "a frozen dataclass",
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass FD:\n  l: tuple\nv = FD(([1],))",
        "v.l[0].append(2)",
        "v.l == ([1, 2],)",
    ),
    _in_place(
        "a named tuple's list",
        "from typing import NamedTuple\nclass NT2(NamedTuple):\n  l: list\nv = NT2([1])",
        "v.l.append(2)",
        "v.l == [1, 2]",
    ),
    _in_place(
        "SimpleNamespace",
        "from types import SimpleNamespace\nv = SimpleNamespace(a=1)",
        "v.b = 2",
        "(v.a, v.b) == (1, 2)",
    ),
    _in_place("an exception", "v = ValueError('a')", "v.code = 3", "v.code == 3 and v.args == ('a',)"),
    _in_place(
        "an object with __getstate__",
        "class GS:\n  def __init__(self): self.a, self.cache = 1, 5\n"
        "  def __getstate__(self): return {'a': self.a}\n"
        "  def __setstate__(self, s): self.__dict__.update(s); self.cache = 0\nv = GS()",
        "v.a = 2",
        "v.a == 2",
    ),
    _in_place(
        "an object with __reduce__",
        "class R:\n  def __init__(self, a): self.a = a\n  def __reduce__(self): return R, (self.a,)\nv = R(1)",
        "v.a = 2",
        "v.a == 2",
    ),
    _in_place(
        "an object that is a key",
        "class K: pass\nv = K()\nkd = {v: 1}",
        "v.n = 1; kd[v] += 1",
        "kd[v] == 2 and v.n == 1",
    ),
    _in_place(
        "an object that hashes by value in a set",
        "class H:\n  def __init__(self, n): self.n = n\n  def __hash__(self): return hash(self.n)\n"
        "  def __eq__(self, o): return self.n == o.n\nv = H(1)\nhs = {v}",
        "hs.add(H(2)); v.tag = 't'",
        "v in hs and H(2) in hs and v.tag == 't'",
    ),
    _in_place("an instance's class", "class A1: pass\nclass A2: pass\nv = A1()", "v.__class__ = A2", "type(v) is A2"),
    _in_place(
        "a graph",
        "import networkx as nx\nv = nx.path_graph(3)",
        "v.add_edge(0, 2, weight=5); v.nodes[0]['c'] = 'red'",
        "v[0][2]['weight'] == 5 and v.nodes[0]['c'] == 'red'",
    ),
    _in_place(
        "a pydantic model",
        "from pydantic import BaseModel\nclass PM(BaseModel):\n  a: int = 1\n  l: list[int] = []\nv = PM()",
        "v.a = 2; v.l.append(3)",
        "v.model_dump() == {'a': 2, 'l': [3]}",
    ),
    _in_place(
        "an element tree",
        "import xml.etree.ElementTree as ET\nv = ET.fromstring('<a><b/></a>')",
        "v.set('k', '1'); ET.SubElement(v, 'c')",
        "v.get('k') == '1' and [e.tag for e in v] == ['b', 'c']",
    ),
    _in_place("StringIO", "import io\nv = io.StringIO()", "v.write('ab')", "v.getvalue() == 'ab' and v.tell() == 2"),
    _in_place("BytesIO", "import io\nv = io.BytesIO(b'abc')\nv.read(1)", "v.read(1)", "v.read() == b'c'"),
    _in_place(
        "a fitted estimator",
        "from sklearn.linear_model import LinearRegression\nimport numpy as np\nv = LinearRegression()",
        "v.fit(np.arange(4.).reshape(-1, 1), [0, 2, 4, 6])",
        "round(float(v.coef_[0])) == 2",
    ),
    _in_place(
        "a pipeline",
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
        "from sklearn.linear_model import Ridge\nimport numpy as np\n"
        "v = make_pipeline(StandardScaler(), Ridge())\nlast = v[-1]",
        "v.fit(np.arange(4.).reshape(-1, 1), [0, 2, 4, 6])",
        "v[-1] is last and hasattr(last, 'coef_')",
    ),
    _in_place(
        "a fitted forest",
        "from sklearn.ensemble import RandomForestClassifier\nv = RandomForestClassifier(3, random_state=0)",
        "v.fit([[0], [1]] * 9, [0, 1] * 9)",
        "v.predict([[1]])[0] == 1",
    ),
]

ALIASES = [
    Case(id="W3 two names", here="a = [1]\nb = a", there="b.append(2)", after="a == [1, 2] and a is b"),
    Case(
        id="W3 a third made there",
        here="a = [1]\nb = a",
        there="c = a\nc.append(2)",
        after="a == [1, 2] and a is b is c",
    ),
    Case(
        id="W3 an alias is broken there",
        here="a = [1]\nb = a",
        there="b = list(a)\nb.append(2)",
        after="a == [1] and b == [1, 2]",
    ),
    Case(
        id="W3 one is rebound, the other goes on",
        here="a = [1]\nb = a\nwas = id(a)",
        there="a = [9]\nb.append(2)",
        after="a == [9] and b == [1, 2] and id(b) == was",
    ),
    Case(
        id="W3 two become one",
        here="a, b = [1], [2]\nwas = id(a)",
        there="b = a",
        after="a is b and a == [1] and id(a) == was",
    ),
    Case(
        id="W3 renamed",
        here="a = [1]\nholder = id(a)",
        there="renamed = a\ndel a",
        after="id(renamed) == holder and 'a' not in globals()",
    ),
    Case(
        id="W3 turned round",
        here="a, b, c = [1], [2], [3]\nids = id(a), id(b), id(c)",
        there="a, b, c = b, c, a",
        after="(id(c), id(a), id(b)) == ids and (a, b, c) == ([2], [3], [1])",
    ),
    Case(
        id="W3 only one of two is mentioned, through a function",
        here="log = []\nview = log\ndef note(x): log.append(x)",
        there="note(1)",
        after="view is log and view == [1]",
    ),
    Case(
        id="W3 an alias made here after the first cell",
        here="late1 = [1]",
        there="late1.append(2)",
        after="late2 = late1\nassert late2 == [1, 2]",
    ),
    Case(id="W3 and used there", there="late2.append(3)", after="late1 == [1, 2, 3] and late1 is late2"),
    Case(id="W3 strings and numbers", here="s1 = 'word' * 9\ns2 = s1", there="s3 = s1", after="s1 == s2 == s3"),
    Case(
        id="W3 iterators",
        here="it1 = iter([1, 2, 3])\nit2 = it1",
        there="first = next(it1)",
        after="it1 is it2 and first == 1 and next(it2) == 2",
    ),
    Case(
        id="W4 a value in a dict",
        here="outer = {'i': [1]}\ninner = outer['i']",
        there="inner.append(5)",
        after="outer['i'] is inner and inner == [1, 5]",
    ),
    Case(
        id="W4 from the outside",
        here="outer = {'i': [1]}\ninner = outer['i']\nwas = id(inner)",
        there="outer['i'].append(5)",
        after="outer['i'] is inner and inner == [1, 5] and id(inner) == was",
    ),
    Case(
        id="W4 in an object's attribute",
        here="class N: pass\nn = N()\nn.items = []\nitems = n.items",
        there="n.items.append(1)",
        after="items == [1] and n.items is items",
    ),
    Case(
        id="W4 two objects share a list",
        here="class N: pass\nn1, n2 = N(), N()\nn1.l = n2.l = []",
        there="n1.l.append(1)",
        after="n2.l == [1] and n1.l is n2.l",
    ),
    Case(
        id="W4 three deep",
        here="deep = {'a': [{'b': (1, [])}]}\nbottom = deep['a'][0]['b'][1]",
        there="bottom.append(deep['a'][0]['b'][0])",
        after="deep['a'][0]['b'][1] is bottom and bottom == [1]",
    ),
    Case(
        id="W4 a parent and its children",
        here="class T:\n  def __init__(self, p=None): self.p, self.kids = p, []\nroot = T()\nkid = T(root)\n"
        "root.kids.append(kid)",
        there="kid.name = 'k'\nroot.kids.append(T(root))",
        after="root.kids[0] is kid and kid.p is root and root.kids[1].p is root and kid.name == 'k'",
    ),
    Case(
        id="W4 the same list twice in a list",
        here="one = [1]\nmany = [one, one]",
        there="many[1].append(2)",
        after="many[0] is many[1] is one and one == [1, 2]",
    ),
    Case(
        id="W4 [[0] * 2] * 2",
        here="grid = [[0] * 2] * 2",
        there="grid[0][0] = 1",
        after="grid == [[1, 0], [1, 0]] and grid[0] is grid[1]",
    ),
    Case(
        id="W4 a list put into another there",
        here="a, b = [1], []\nwas = id(a)",
        there="b.append(a)",
        after="b[0] is a and id(a) == was",
    ),
    Case(
        id="W4 a list taken out of another there",
        here="b = [[1]]\nwas = id(b[0])",
        there="a = b.pop()",
        after="b == [] and a == [1] and id(a) == was",
    ),
    Case(
        id="W4 moved from one to another",
        here="src, dst = [[1]], []\nwas = id(src[0])",
        there="dst.append(src.pop())",
        after="src == [] and id(dst[0]) == was",
    ),
    Case(
        id="W4 a key that is an object",
        here="class K: pass\nk = K()\nby = {k: 1}",
        there="by[k] = 2\nk.seen = True",
        after="by[k] == 2 and next(iter(by)) is k and k.seen",
    ),
    Case(
        id="W4 a set of objects",
        here="class K: pass\nk = K()\nks = {k}",
        there="k.seen = 1",
        after="k in ks and next(iter(ks)).seen == 1",
    ),
    Case(
        id="W4 a linked list",
        here="class Nd:\n  def __init__(s, v, n=None): s.v, s.n = v, n\nhead = Nd(1, Nd(2))\nsecond = head.n",
        there="second.v = 20\nsecond.n = Nd(3)",
        after="head.n is second and (head.n.v, head.n.n.v) == (20, 3)",
    ),
    Case(
        id="W4 a bound method of an object",
        here="class C:\n  def __init__(s): s.n = 0\n  def up(s): s.n += 1\nc = C()\nup = c.up",
        there="up()",
        after="c.n == 1 and up.__self__ is c and up() is None and c.n == 2",
    ),
    Case(
        id="W4 a partial's argument",
        here="from functools import partial\nacc = []\nadd = partial(acc.append)",
        there="add(1)",
        after="acc == [1] and add(2) is None and acc == [1, 2]",
    ),
    Case(
        id="W4 what is not mentioned keeps its members",
        here="class N: pass\nn = N()\nn.l = []\nother = {'l': n.l}",
        there="n.l.append(1)",
        after="other['l'] is n.l and other['l'] == [1]",
    ),
]

CASES = [*CONTAINERS, *OBJECTS, *ALIASES]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


_NEEDS = ("sklearn", "networkx", "pydantic", "scipy", "polars")  # installing one for the container takes seconds
_QUICK = [case for case in CASES if not any(package in case.here for package in _NEEDS)]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.id, marks=() if case in _QUICK else pytest.mark.slow) for case in CASES],
)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
