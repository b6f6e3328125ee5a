"""State in, what threads and processes of a cell read: C11."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(
        id="C11 threads read globals",
        here="k11th = 7",
        there=(
            "import threading\nseen11 = []\n"
            "ts = [threading.Thread(target=lambda: seen11.append(eval('k11th'))) for _i in range(4)]\n"
            "[t.start() for t in ts]; [t.join() for t in ts]\ndel ts"
        ),
        after="seen11 == [7] * 4",
    ),
    Case(
        id="C11 pool of threads",
        here="off11p = 9",
        there=(
            "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n"
            "    r = list(pool.map(lambda i: i + off11p, range(3)))\ndel pool"
        ),
        after="r == [9, 10, 11]",
    ),
    Case(
        id="C11 fork pool and names nobody mentioned",
        here="import multiprocessing as mp\ntbl11f = {'k': 3}\ndef wk11n(n): return eval(n)['k']",
        there=("with mp.get_context('fork').Pool(2) as pool:\n    r = pool.map(wk11n, ['tbl11' + 'f'] * 2)\ndel pool"),
        after="r == [3, 3]",
    ),
    Case(
        id="C11 process pool executor",
        here=(
            "import multiprocessing as mp\nfrom concurrent.futures import ProcessPoolExecutor\n"
            "off11e = 5\ndef wk11e(x): return x + off11e"
        ),
        there=(
            "with ProcessPoolExecutor(2, mp_context=mp.get_context('fork')) as pool:\n"
            "    r = list(pool.map(wk11e, range(3)))\ndel pool"
        ),
        after="r == [5, 6, 7]",
    ),
    Case(
        id="C11 forked process and a queue",
        here="import multiprocessing as mp\noff11e = 5\ndef wk11q(q): q.put(off11e * 2)",
        there=(
            "ctx = mp.get_context('fork')\nq = ctx.Queue()\np = ctx.Process(target=wk11q, args=(q,))\n"
            "p.start(); r = q.get(timeout=30); p.join()\ndel q, p, ctx"
        ),
        after="r == 10",
    ),
    Case(
        id="C11 spawned pool of a library's function",
        here="import math\nimport multiprocessing as mp",
        there="with mp.get_context('spawn').Pool(1) as pool:\n    r = pool.map(math.sqrt, [4, 9])\ndel pool",
        after="r == [2.0, 3.0]",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
