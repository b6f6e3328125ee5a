"""State in, magics, shell commands, history and `await`: C13, C14."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(
        id="C13 timeit with its options",
        here="def f133(): return a133\na133 = 3",
        there="r = %timeit -n 2 -r 1 -q -o f133()",
        after="r.loops == 2",
    ),
    Case(id="C13 timeit as a cell magic", here="a134 = 3", there="%%timeit -n 1 -r 1 -q b = a134\nb + a134"),
    Case(id="C13 prun", here="def f135(): return a135\na135 = 3", there="%prun -q f135()"),
    Case(
        id="C13 shell command with an expression",
        here="nums137 = [1, 2]",
        there="r = !echo {sum(nums137)} {nums137[0]}",
        after="list(r) == ['3 1']",
    ),
    Case(
        id="C13 shell command with an attribute and two dollars",
        here="class O138: x = 'v'\no138 = O138()",
        there="r = !echo {o138.x} $$HOME_NOT_SET_HERE.",
        after="list(r) == ['v .']",
    ),
    Case(
        id="C13 shell command printed",
        here="word139 = 'hi'",
        there="%%capture out139\n!echo $word139",
        after="'hi' in out139.stdout",
    ),
    Case(id="C13 help on a name", here="def f140():\n    'Says something.'", there="f140?"),
    Case(
        id="C13 run a script",
        here="__import__('pathlib').Path('s141.py').write_text('sv141 = 11\\n')",
        there="%run s141.py",
        after="sv141 == 11",
    ),
    Case(
        id="C13 run a script with the notebook's names",
        here="__import__('pathlib').Path('s142.py').write_text('sv142 = base142 + 1\\n')\nbase142 = 1",
        there="%run -i s142.py",
        after="sv142 == 2",
    ),
    Case(
        id="C13 writefile and load",
        here="k144 = 7",
        there="%%writefile f144.txt\nhello",
        after="__import__('pathlib').Path('f144.txt').read_text() == 'hello\\n'",
    ),
    Case(
        id="C13 env and set_env",
        here="v145 = 'x'",
        there="%set_env CB_TEST_145 $v145\nimport os\nr = os.environ['CB_TEST_145']",
        after="r == 'x'",
    ),
    Case(
        id="C13 alias of a magic through run_line_magic",
        here="a146 = 3",
        there="get_ipython().run_line_magic('time', 'r = a146 + 2')",
        after="r == 5",
    ),
    Case(id="C13 magic with a name as its argument", here="a147 = 3", there="%pinfo a147"),
    Case(
        id="C13 who_ls",
        here="who148a, who148b = 1, 2",
        there="r = [n for n in %who_ls if n.startswith('who148')]",
        raises="SyntaxError",
    ),
    Case(
        id="C13 who_ls assigned",
        here="who149a, who149b = 1, 2",
        there="names149 = %who_ls int\nr = [n for n in names149 if n.startswith('who149')]",
        after="r == ['who149a', 'who149b']",
    ),
    Case(id="C13 bash cell magic", there="%%bash --out r150\necho from bash", after="r150 == 'from bash\\n'"),
    Case(id="C13 last result", here="41 + 1", there="r = _ + 1", after="r == 43"),
    Case(id="C13 last two results", here="prev152 = 1", there="r = 1", after="r == 1"),
    Case(
        id="C13 Out and its length after",
        here="{'seven': 7}",
        there="r = list(Out.values())[-1]['seven']\nr + 1",
        after="r == 7 and _ == 8",
    ),
    Case(id="C13 In of the cell itself", there="mark157 = 1; r = In[-1]", after="'mark157' in r"),
    Case(id="C13 last result again", here="6", there="_ + 1", after="_ == 7"),
    Case(id="C13 last result rebound to what it was", here="6", there="_ + 1", after="_ == 7"),
    Case(
        id="C13 underscore as a throw-away",
        here="pairs161 = [(1, 2), (3, 4)]",
        there="r = [a for a, _ in pairs161]\nfor _, b161 in pairs161: pass",
        after="r == [1, 3] and b161 == 4",
    ),
    Case(id="C13 underscore bound", there="_, x162 = (1, 2)", after="x162 == 2 and _ == 1"),
    Case(id="C13 release underscore", there="del _"),
    Case(id="C13 gettext underscore", here="def _(s): return s.upper()", there="r = _('a')", after="r == 'A'"),
    Case(id="C13 release underscore again", here="del _", there="pass"),
    Case(
        id="C14 gather and sleep",
        here="import asyncio\nasync def co141(i):\n    await asyncio.sleep(0)\n    return i + k141\nk141 = 1",
        there="r = await asyncio.gather(*(co141(i) for i in range(3)))",
        after="r == [1, 2, 3]",
    ),
    Case(
        id="C14 async with",
        here=(
            "class ACM143:\n    async def __aenter__(self): return k143\n"
            "    async def __aexit__(self, *a): pass\nk143 = 4"
        ),
        there="async with ACM143() as v143: r = v143",
        after="r == 4",
    ),
    Case(
        id="C14 await inside a comprehension",
        here="async def co144(x): return x * k144\nk144 = 2",
        there="r = [await co144(x) for x in range(3)]",
        after="r == [0, 2, 4]",
    ),
    Case(
        id="C14 a cell that defines a coroutine",
        here="k145 = 3",
        there="async def co145(): return k145",
        after="__import__('inspect').iscoroutinefunction(co145)",
    ),
    Case(
        id="C14 asyncio queue",
        here="import asyncio\nasync def worker146(q): return await q.get() + k146\nk146 = 1",
        there=("q = asyncio.Queue()\nt = asyncio.create_task(worker146(q))\nawait q.put(1)\nr = await t\ndel q, t"),
        after="r == 2",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
