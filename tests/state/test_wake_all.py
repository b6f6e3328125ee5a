"""What large libraries hold is there after a session has slept."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import failures_here
from tests.state.waking import Nap, put_to_sleep, wake

# The container gets its own copy of each library first, which takes as long as the disk is slow.
pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

NAPS = [
    Nap(id="an sklearn model", there="from sklearn.linear_model import LinearRegression\nimport numpy as np\n"
        "lr = LinearRegression().fit(np.arange(6).reshape(3, 2), [1, 2, 3])",
        later="score1 = float(lr.predict(np.array([[6, 7]]))[0])", after="abs(score1 - 4) < 1e-6"),
    Nap(id="pandas' options", there="import pandas as pd\npd.set_option('display.max_rows', 7)",
        later="r8 = pd.get_option('display.max_rows')", after="r8 == 7"),
    Nap(id="rcParams", there="import matplotlib.pyplot as plt\nplt.rcParams['figure.dpi'] = 55",
        later="import matplotlib\nr9 = matplotlib.rcParams['figure.dpi']", after="r9 == 55"),
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
