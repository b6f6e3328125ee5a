"""State in: what a cell reads is there, however it gets to it."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

CASES = [
    Case(id="C1 plain read", here="a = 3", there="r = a", after="r == 3"),
    Case(id="C5 callable in a dict", here="off = 2\nD = {'f': lambda x: x + off}", there="r = D['f'](1)", after="r == 3"),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
