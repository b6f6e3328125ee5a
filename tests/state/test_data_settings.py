"""Settings of libraries: those about values follow the notebook and come back, those about a machine do not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def settings_as_before() -> Iterator[None]:
    """The rows change this process's settings."""
    import matplotlib as mpl
    import numpy as np
    import pandas as pd

    with (
        warnings.catch_warnings(),
        np.printoptions(),
        np.errstate(),
        mpl.rc_context(),
        pd.option_context("display.max_rows", 60),
    ):
        yield


CASES = [
    Case(
        id="D10 how frames and arrays are shown",
        here="import pandas as pd, numpy as np\npd.options.display.max_rows = 4\nnp.set_printoptions(precision=2)\n"
        "df = pd.DataFrame({'a': range(100)})\nshown = repr(df), repr(np.array([1 / 3]))",
        there="there = repr(df), repr(np.array([1 / 3]))",
        after="there == shown and '..' in shown[0]",
    ),
    Case(
        id="D10 settings that a cell makes hold here",
        here="import pandas as pd, numpy as np",
        there="pd.options.display.max_rows = 7\nnp.set_printoptions(precision=3)\nnp.seterr(divide='raise')",
        after="pd.options.display.max_rows == 7 and np.get_printoptions()['precision'] == 3"
        " and np.geterr()['divide'] == 'raise'",
    ),
    Case(
        id="D10 what numpy does about a division by zero",
        here="import numpy as np\nnp.seterr(divide='raise')",
        there="np.ones(1) / 0",
        raises="FloatingPointError",
    ),
    Case(
        id="D10 warnings that are not wanted",
        here="import numpy as np, warnings\nnp.seterr(divide='warn')\n"
        "warnings.filterwarnings('ignore', category=RuntimeWarning)",
        there="import warnings\nwith warnings.catch_warnings(record=True) as seen:\n  np.log(np.zeros(1))\n"
        "count = len(seen)",
        after="count == 0",
    ),
    Case(
        id="D10 warnings that a cell silences",
        here="import numpy as np, warnings",
        there="import warnings\nwarnings.filterwarnings('ignore', message='not this one')",
        after="any(entry[1] is not None and entry[1].pattern == 'not this one' for entry in warnings.filters)",
    ),
    Case(
        id="D10 the look of plots",
        here="import matplotlib as mpl\nmpl.rcParams['lines.linewidth'] = 4.5\n"
        "mpl.rcParams['axes.prop_cycle'] = mpl.cycler(color=['k', 'r'])",
        there="there = mpl.rcParams['lines.linewidth'], mpl.rcParams['axes.prop_cycle'].by_key()\n"
        "mpl.rcParams['font.size'] = 7",
        after="there == (4.5, {'color': ['k', 'r']}) and mpl.rcParams['font.size'] == 7",
    ),
    Case(
        id="D10 decimals",
        here="import decimal\ndecimal.getcontext().prec = 5",
        there="import decimal\nthird = decimal.Decimal(1) / 3\ndecimal.getcontext().prec = 28",
        after="str(third) == '0.33333' and decimal.getcontext().prec == 28",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


def test_what_describes_the_machine_stays(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """D10: environment variables, which may be secrets or paths of this machine, do not follow, and none comes back."""
    monkeypatch.setenv("ONLY_HERE", "1")
    assert shell.run_cell(
        "%%gpu A100\nimport os\nseen = os.environ.get('ONLY_HERE')\nos.environ['ONLY_THERE'] = '1'"
    ).success
    assert shell.user_ns["seen"] is None
    shell.run_cell("import os\nhere = os.environ.get('ONLY_THERE')")
    assert shell.user_ns["here"] is None
    assert shell.run_cell("%%gpu A100\nkept = os.environ['ONLY_THERE']").success
    assert shell.user_ns["kept"] == "1"
