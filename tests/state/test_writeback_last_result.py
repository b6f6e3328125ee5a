"""State back: `_` and `Out[n]` are the objects a local cell would have left there."""

# ruff: noqa: E501 - a row is read as one, with the lines of its cells in it
from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CASES = [
    Case(id="W9 the value of a name", here="xu = [1]", there="xu", after="_ is xu"),
    Case(id="W9 of a name the cell bound", there="yu = {'a': 1}\nyu", after="_ is yu"),
    Case(id="W9 of a part of a named value", here="hu = {'part': [1]}", there="hu['part']", after="_ is hu['part']"),
    Case(id="W9 of what a method returns", here="class Box:\n    def __init__(self): self.items = []\n    def add(self, x):\n"
         "        self.items.append(x); return self\nbu = Box()", there="bu.add(3)", after="_ is bu and bu.items == [3]"),
    Case(id="W9 a value no name holds, changed by the next line", there="[1, 2]", after="_.append(3)\nassert _ == [1, 2, 3]"),
    Case(id="W9 Out and _ are one", there="[4, 5]", after="_ is Out[max(Out)]"),
    Case(id="W9 an array of a name", here="import numpy as np\nau = np.arange(4)", there="au[1] = 9\nau", after="_ is au and au[1] == 9"),
    Case(id="W9 a view of a named array", here="import numpy as np\nau2 = np.arange(4)", there="au2[1:3]",
         after="_.base is au2 and np.shares_memory(_, au2)"),
    Case(id="W9 of a frame", here="import pandas as pd\nfu = pd.DataFrame({'a': [1]})", there="fu['b'] = 2\nfu", after="_ is fu"),
    Case(id="W9 a function", here="def gu(): return 1", there="gu", after="_ is gu"),
    Case(id="W9 a class", here="class Ku: pass", there="Ku", after="_ is Ku"),
    Case(id="W9 a value that a thing in a name holds", here="cu = []", there="cu.append([7])\ncu[-1]", after="_ is cu[-1]"),
]  # fmt: skip


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_last_result_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


def test_the_last_result_changed_by_the_next_cell(shell: InteractiveShell) -> None:
    """`_` in a remote cell is the object that is `_` here, whether or not a name holds it."""
    shell.run_cell("[1, 2]", store_history=True)
    was = shell.user_ns["_"]
    shell.run_cell("%%gpu A100\n_.append(3)\nlast = _", store_history=True)
    assert shell.user_ns["last"] is was
    assert was == [1, 2, 3]
    shell.run_cell("%%gpu A100\n['far']", store_history=True)
    far = shell.user_ns["_"]
    shell.run_cell("%%gpu A100\n_.append(4)", store_history=True)
    assert far == ["far", 4]
