"""State in, names that only the running code knows: C11, C12."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(id="C11 eval", here="a11 = 3", there="r = eval('a11 * 3')", after="r == 9"),
    Case(
        id="C11 eval in a function of the cell",
        here="a113 = 3",
        there="def ev113(): return eval('a113')\nr = ev113()",
        after="r == 3",
    ),
    Case(
        id="C11 eval of text made up while it runs",
        here="col_a, col_b = 1, 2",
        there="r = [eval('col_' + c) for c in 'ab']",
        after="r == [1, 2]",
    ),
    Case(
        id="C11 eval with namespaces",
        here="a114 = 3",
        there="r = eval('x + a114', globals(), {'x': 1}), eval('x + y', {'x': 1}, {'y': 2})",
        after="r == (4, 3)",
    ),
    Case(id="C11 exec binds a name", here="a115 = 3", there="exec('b115 = a115 + 1')", after="b115 == 4"),
    Case(
        id="C11 exec with globals and locals",
        here="k118 = 5",
        there="g118 = {}\nexec('z = k118 + 1', globals(), g118)",
        after="g118 == {'z': 6}",
    ),
    Case(
        id="C11 exec of a compiled class",
        here="src119 = 'class Made119:\\n    v = k119\\n'\nk119 = 4",
        there="exec(compile(src119, '<made>', 'exec'))",
        after="Made119.v == 4",
    ),
    Case(
        id="C11 exec elsewhere does not see the notebook",
        here="hidden120 = 1",
        there="try:\n    exec('hidden120', {})\nexcept NameError: r = 'unseen'",
        after="r == 'unseen'",
    ),
    Case(
        id="C11 globals assignment and deletion",
        here="a122 = 3",
        there="globals()['b122'] = 4\ndel globals()['a122']",
        after="b122 == 4 and 'a122' not in globals()",
    ),
    Case(
        id="C11 globals get, in, and a default",
        here="a123 = 3",
        there="r = globals().get('a123'), 'a123' in globals(), globals().get('nope123', 7)",
        after="r == (3, True, 7)",
    ),
    Case(
        id="C11 globals update", here="cfg124 = {'lr124': 0.1}", there="globals().update(cfg124)", after="lr124 == 0.1"
    ),
    Case(
        id="C11 globals in a function of the notebook",
        here="a125 = 4\ndef look125(n): return globals()[n]",
        there="r = look125('a125')",
        after="r == 4",
    ),
    Case(
        id="C11 iterating globals",
        here="exp_a126, exp_b126 = 1, 2",
        there="r = sorted(k for k in globals() if k.startswith('exp_') and k.endswith('126'))",
        after="r == ['exp_a126', 'exp_b126']",
    ),
    Case(
        id="C11 items of globals",
        here="sum_a127, sum_b127 = 1, 2",
        there="r = sum(v for k, v in list(globals().items()) if k.startswith('sum_') and k.endswith('127'))",
        after="r == 3",
    ),
    Case(id="C11 locals at top level", here="a128 = 3", there="r = locals()['a128']", after="r == 3"),
    Case(
        id="C11 format_map of vars",
        here="name130 = 'Ada'",
        there="r = '{name130}!'.format_map(vars())",
        after="r == 'Ada!'",
    ),
    Case(
        id="C11 percent formatting of globals",
        here="name131 = 'Ada'",
        there="r = '%(name131)s!' % globals()",
        after="r == 'Ada!'",
    ),
    Case(
        id="C11 vars of an object",
        here="class O132: pass\no132 = O132(); o132.x = 1",
        there="vars(o132)['y'] = 2",
        after="o132.y == 2",
    ),
    Case(id="C11 dir", here="a133 = 3", there="r = 'a133' in dir()", after="r"),
    Case(
        id="C11 sys.modules main", here="a135 = 3", there="import sys\nr = sys.modules['__main__'].a135", after="r == 3"
    ),
    Case(
        id="C11 importlib main",
        here="a136 = 3",
        there="import importlib\nr = importlib.import_module('__main__').a136",
        after="r == 3",
    ),
    Case(id="C11 set an attribute of main", there="import __main__\n__main__.b137 = 5", after="b137 == 5"),
    Case(id="C11 vars of main", here="a138 = 3", there="import __main__\nr = vars(__main__)['a138']", after="r == 3"),
    Case(
        id="C11 shell ev and ex",
        here="a140 = 3",
        there="r = get_ipython().ev('a140 + 1')\nget_ipython().ex('b140 = a140')",
        after="r == 4 and b140 == 3",
    ),
    Case(
        id="C11 shell run_cell", here="a141 = 3", there="get_ipython().run_cell('b141 = a141 + 1')", after="b141 == 4"
    ),
    Case(id="C11 shell push", there="get_ipython().push({'b142': 4})", after="b142 == 4"),
    Case(
        id="C11 function globals",
        here="a144 = 3\ndef f144(): pass",
        there="r = f144.__globals__['a144'], f144.__globals__ is globals()",
        after="r == (3, True)",
    ),
    Case(
        id="C11 operator and type made from text",
        here="a145 = 3\nT145 = 'list'",
        there="r = eval(T145)((a145,))",
        after="r == [3]",
    ),
    Case(
        id="C11 timeit with globals",
        here="a146 = 3\ndef f146(): return a146",
        there="import timeit\nr = timeit.timeit('f146()', globals=globals(), number=2)",
        after="r > 0",
    ),
    Case(
        id="C11 string.Template of globals",
        here="name147 = 'Ada'\nfrom string import Template",
        there="r = Template('$name147').substitute(globals())",
        after="r == 'Ada'",
    ),
    Case(
        id="C11 pickle looks names up in main",
        here="import pickle\nclass C148:\n    v = 3\nblob148 = pickle.dumps(C148())",
        there="r = pickle.loads(blob148).v",
        after="r == 3",
    ),
    Case(
        id="C12 f-string with a call and a lambda",
        here="def f122(x): return x * 2\nk122 = 4",
        there='r = f"{f122(k122)} {(lambda: k122)()} {[k122 + i for i in range(2)]}"',
        after="r == '8 4 [4, 5]'",
    ),
    Case(
        id="C12 get_type_hints of text annotations",
        here="import typing\nclass T123: pass\ndef f123(x: 'T123') -> 'list[T123]': return [x]",
        there="r = typing.get_type_hints(f123)['x']",
        after="r is T123",
    ),
    Case(
        id="C12 annotations from the future",
        here="class T125: pass",
        there=(
            "from __future__ import annotations\nimport typing\ndef f125(x: T125): ...\n"
            "r = f125.__annotations__['x'], typing.get_type_hints(f125)['x']"
        ),
        after="r[0] == 'T125' and r[1] is T125",
    ),
    Case(
        id="C12 Annotated and Literal",
        here="from typing import Annotated, Literal\nA127 = Annotated[int, 'm']",
        there="r = typing.get_args(A127)",
        after="r == (int, 'm')",
    ),
    Case(
        id="C11 main module under another name",
        here="a11m = 3",
        there="import __main__ as main11\nr = main11.a11m",
        after="r == 3 and main11.a11m == 3",
    ),
    Case(
        id="C11 exec'd functions share their namespace",
        here="ns11s = {}\nexec('y = 2\\ndef f(): return y', ns11s)",
        there="ns11s['y'] = 5\nr = ns11s['f']()",
        after="r == 5",
    ),
    Case(
        id="C11 del of a name the cell never read",
        here="gone11d = [1]",
        there="del globals()['gone11d']",
        after="'gone11d' not in globals()",
    ),
    Case(
        id="C11 delattr of main",
        here="gone11a = [1]",
        there="import __main__\ndel __main__.gone11a",
        after="'gone11a' not in globals()",
    ),
    Case(
        id="C11 pandas query and eval",
        here="import pandas as pd\ndfq = pd.DataFrame({'x': [1, 2, 3]})\nlimq = 1",
        there="r = dfq.query('x > @limq').x.tolist(), pd.eval('limq + 1'), dfq.eval('y = x * @limq').y.tolist()",
        after="r == ([2, 3], 2, [1, 2, 3])",
    ),
    Case(
        id="C11 timeit module with a setup text",
        here="tq = 3",
        there="import timeit\nr = timeit.timeit('tq + 1', 'from __main__ import tq', number=1)",
        after="r >= 0",
    ),
    Case(
        id="C11 unittest in the notebook",
        here=(
            "import unittest\nclass T11(unittest.TestCase):\n    def test_it(self): self.assertEqual(k11t, 4)\nk11t = 4"
        ),
        there=(
            "r = unittest.TextTestRunner(stream=open('/dev/null', "
            "'w')).run(unittest.defaultTestLoader.loadTestsFromTestCase(T11))\n"
            "ok = r.wasSuccessful()\ndel r"
        ),
        after="ok",
    ),
    Case(
        id="C11 copy and deepcopy",
        here="import copy\nclass Cp11:\n    def __init__(self): self.l = [1]\ncp11 = Cp11()",
        there="dp11 = copy.deepcopy(cp11)\ndp11.l.append(2)",
        after="cp11.l == [1] and dp11.l == [1, 2]",
    ),
    Case(
        id="C11 pickle of an instance",
        here="import pickle\npk11 = Cp11()",
        there="bl11 = pickle.dumps(pk11)",
        after="pickle.loads(bl11).l == [1]",
    ),
    Case(
        id="C11 a large value through globals",
        here="large11g = bytearray(1_000_000)",
        there="r = len(globals()['large11g']), len(locals()['large11g']), len(vars()['large11g'])",
        after="r == (1_000_000,) * 3",
    ),
    Case(
        id="C11 a large value among the items of globals",
        here="large11i = bytearray(1_000_000)",
        there="r = [k for k, v in globals().items() if type(v) is bytearray and k == 'large11i']",
        after="r == ['large11i']",
    ),
    Case(
        id="C11 a large value through user_ns and frames",
        here="large11u = bytearray(1_000_000)",
        there=("import sys\nr = len(get_ipython().user_ns['large11u']), len(sys._getframe().f_globals['large11u'])"),
        after="r == (1_000_000,) * 2",
    ),
    Case(
        id="C11 a copy of globals",
        here="large11c = bytearray(1_000_000)",
        there="r = len(dict(globals())['large11c']), len({**globals()}['large11c'])",
        after="r == (1_000_000,) * 2",
    ),
    Case(
        id="C11 items of globals beside what cannot travel",
        here="gen11v = (i for i in 'ab')\nokay11v = 1",
        there="r = 'okay11v' in dict(globals().items())",
        after="r and next(gen11v) == 'a'",
    ),
    Case(
        id="C11 builtins while globals are looked at",
        there="def f11w(): return len([1]), sum([2])\nr = globals()['f11w'](), max(1, 2)",
        after="r == ((1, 2), 2)",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
