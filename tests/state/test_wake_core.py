"""What a session holds is there after it has slept."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import failures_here
from tests.state.waking import Nap, put_to_sleep, remotely, wake

NAPS = [
    Nap(id="a list", here="l1 = [1]", there="l1.append(2)", later="l1.append(3)", after="l1 == [1, 2, 3]"),
    Nap(id="W3 an alias", here="a1 = [1]; a2 = a1", there="a1.append(2)", later="a2.append(3)",
        after="a1 is a2 and a1 == [1, 2, 3]"),
    Nap(id="W5 an array and its view", here="import numpy as np\nbase1 = np.zeros(9000); view1 = base1[10:]",
        there="view1[0] = 5", later="view1[1] = 6", after="base1[10] == 5 and base1[11] == 6 and view1.base is base1"),
    Nap(id="a name that lives there only", there="only1 = list(range(10))", later="sum1 = sum(only1)",
        after="sum1 == 45", options="--leave only1"),
    Nap(id="a name that nobody touches until later", here="late1 = {'k': [1]}", there="late1['k'].append(2)",
        later="got1 = late1['k']", after="got1 == [1, 2]"),
    Nap(id="C3 functions that read names", there="k1 = 2\ndef f1(x): return g1(x) + k1\ndef g1(x): return 10 * x",
        later="r1 = f1(3)", after="r1 == 32"),
    Nap(id="C6 a closure that counts", there="def mk1():\n    n = 0\n    def inc():\n        nonlocal n\n"
        "        n += 1\n        return n\n    return inc\ninc1 = mk1(); inc1()",
        later="r2 = inc1()", after="r2 == 2 and inc1() == 3"),
    Nap(id="C18 a class and its instances", there="class P1:\n    made = 0\n"
        "    def __init__(self, x): self.x = x; P1.made += 1\np1 = P1(4)",
        later="p2 = P1(5); same1 = type(p1) is P1 and isinstance(p2, type(p1))",
        after="same1 and p1.x == 4 and P1.made == 2 and type(p2) is P1"),
    Nap(id="modules", there="import json as js1, math", later="r3 = js1.dumps([math.floor(2.5)])", after="r3 == '[2]'"),
    Nap(id="the environment", there="import os\nos.environ['NAP1'] = 'on'; gone1 = os.environ.pop('LANG', None)",
        later="import os\nr4 = (os.environ.get('NAP1'), 'LANG' in os.environ)", after="r4 == ('on', False)"),
    Nap(id="sys.path", there="import sys\nsys.path.insert(0, '/nowhere/first'); sys.path.append('/nowhere/last')",
        later="import sys\nr5 = [p for p in sys.path if p.startswith('/nowhere')]",
        after="r5 == ['/nowhere/first', '/nowhere/last']"),
    Nap(id="warnings filters", there="import warnings\nwarnings.filterwarnings('error', message='nap one')",
        later="import warnings\ntry:\n    warnings.warn('nap one')\n    r6 = False\nexcept UserWarning:\n    r6 = True",
        after="r6"),
    Nap(id="numpy's settings", there="import numpy as np\nnp.seterr(divide='raise'); np.set_printoptions(precision=2)",
        later="r7 = (np.geterr()['divide'], np.get_printoptions()['precision'])", after="r7 == ('raise', 2)"),
    Nap(id="a file of the session", there="n1 = open('nap.txt', 'w').write('zz')", later="r10 = open('nap.txt').read()",
        after="r10 == 'zz'"),
    Nap(id="a name deleted meanwhile", here="del1 = 1", there="del1", later="del del1",
        after="'del1' not in globals()"),
]  # fmt: skip


def test_the_rows_are_true_of_a_session_that_never_sleeps() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here([nap.awake() for nap in NAPS]) == {}


@pytest.fixture(scope="module")
def asleep(shell: InteractiveShell) -> InteractiveShell:
    """A session that has run the first half of every row, and slept."""
    assert put_to_sleep(shell, NAPS) == {}
    return shell


@pytest.mark.parametrize("nap", NAPS, ids=str)
def test_it_is_there_after_sleep(asleep: InteractiveShell, nap: Nap) -> None:
    """What was true before is true after."""
    wake(asleep, nap)


def test_random_numbers_go_on(shell: InteractiveShell) -> None:
    """Three generators draw after sleep what they would have drawn without; `_` is the last value still."""
    remotely(shell, "import random, numpy as np\nrng = np.random.default_rng(3)\nrandom.seed(7); np.random.seed(7)")
    remotely(shell, "drawn = [random.random(), np.random.rand(), rng.random()]\n41 + 1")
    shell.run_line_magic("gpu_stop", "")
    remotely(shell, "drawn += [random.random(), np.random.rand(), rng.random()]\nlast = _")
    shell.run_cell("import random, numpy as np\nrng = np.random.default_rng(3)\nrandom.seed(7); np.random.seed(7)")
    shell.run_cell("again = [f() for _i in range(2) for f in (random.random, np.random.rand, rng.random)]")
    assert shell.user_ns["drawn"] == shell.user_ns["again"]
    assert shell.user_ns["last"] == 42
