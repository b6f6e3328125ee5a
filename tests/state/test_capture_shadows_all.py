"""State in, shadowed builtins and modules: C15, C16."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [
    Case(id="C15 a list named list", here="list = [1]", there="list.append(2)", after="list == [1, 2]"),
    Case(id="C15 del gives the builtin back in the cell", there="del list\nr = list('ab')", after="r == ['a', 'b']"),
    Case(
        id="C15 shadow inside a function of the notebook",
        here="def max(*a): return 'my max'\ndef f155(): return max(1, 2)",
        there="r = f155()",
        after="r == 'my max'",
    ),
    Case(id="C15 shadow made in the cell", here="del max", there="min = 5\nr = min", after="r == 5 and min == 5"),
    Case(
        id="C15 library code keeps its builtins",
        here="del min\nlen = 3",
        there="import textwrap\nr = textwrap.fill('a b', 1)",
        after="r == 'a\\nb' and len == 3",
    ),
    Case(id="C15 len given back", here="del len", there="r = len([1])", after="r == 1"),
    Case(
        id="C15 variable with the name of a module in use",
        here="random = 7",
        there="r = random + 1\nimport random as rnd1510\ns1510 = rnd1510.randint(1, 1)",
        after="r == 8 and s1510 == 1 and random == 7",
    ),
    Case(
        id="C15 print shadowed",
        here="said1511 = []\ndef print(*a): said1511.append(a)",
        there="print('x')",
        after="said1511 == [('x',)]",
    ),
    Case(id="C15 print given back", here="del print", there="print('shown')"),
    Case(
        id="C15 input shadowed", here="def input(p=''): return 'typed'", there="r = input('? ')", after="r == 'typed'"
    ),
    Case(id="C15 input given back", here="del input", there="r = callable(input)", after="r"),
    Case(id="C15 display shadowed", here="display = 5", there="r = display", after="r == 5"),
    Case(id="C15 display given back", here="del display", there="r = callable(display)", after="r"),
    Case(
        id="C16 alias made by assignment",
        here="import math\nmm161 = math",
        there="r = mm161 is math and mm161.sqrt(4)",
        after="r == 2.0",
    ),
    Case(
        id="C16 from import of a function",
        here="from math import floor as fl162, pi",
        there="r = fl162(pi)",
        after="r == 3",
    ),
    Case(
        id="C16 star import in the cell",
        there="from statistics import *\nr = mean([1, 3])",
        after="r == 2 and mean([1, 3]) == 2",
    ),
    Case(
        id="C16 import in the cell",
        there="import os.path as osp165, collections.abc\nfrom fractions import Fraction",
        after="osp165.basename('a/b') == 'b' and Fraction(1, 2) + Fraction(1, 2) == 1 and collections.abc.Sized",
    ),
    Case(
        id="C16 submodule",
        here="import xml.etree.ElementTree as ET",
        there="r = ET.fromstring('<a b=\"1\"/>').get('b')",
        after="r == '1'",
    ),
    Case(
        id="C16 numpy by alias and by star",
        here="import numpy as np\nfrom numpy import arange",
        there="r = np.add(arange(3), 1).tolist()",
        after="r == [1, 2, 3]",
    ),
    Case(
        id="C16 one underscore and two",
        here="_one16, __two16 = 1, 2\nclass Priv16:\n    __x = 3\n    def get(self): return self.__x",
        there="r = _one16, __two16, Priv16().get()\n__two16 = 5",
        after="r == (1, 2, 3) and __two16 == 5",
    ),
    Case(id="C16 name of the module", there="r = __name__", after="r == '__main__'"),
    Case(
        id="C16 guarded by the name of the module",
        here="def main16(): return 5",
        there="if __name__ == '__main__':\n    r = main16()",
        after="r == 5",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
