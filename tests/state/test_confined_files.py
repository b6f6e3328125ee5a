"""Files where the runtime and its notebook belong to an ordinary user: the tables of files are true there, too."""

# ruff: noqa: E501 - a row is read as one, with the lines of its cells in it
from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote_runtime.trash import remove_tree
from tests.security.intruders import Intruder
from tests.state import test_files_core
from tests.state.table import Case

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_PLOT = Case(
    id="D9 savefig and readers of libraries",
    here="import matplotlib; matplotlib.use('agg')\nimport pandas as pd\npd.DataFrame({'a': [1, 2]}).to_csv('frame.csv')\nn = 'frame'",
    there="import matplotlib; matplotlib.use('agg')\nimport matplotlib.pyplot as plt\nimport pandas as pd\n"
    "fig, ax = plt.subplots(); _ = ax.plot(pd.read_csv(n + '.csv')['a']); fig.savefig('plot.png'); plt.close(fig); del fig, ax",
    after="open('plot.png', 'rb').read(4) == b'\\x89PNG'",
)
CASES = [*test_files_core.READING, *test_files_core.WRITING, _PLOT]


@pytest.fixture(scope="module")
def somebody() -> Iterator[Intruder]:
    """A notebook of an ordinary user, on a runtime of theirs."""
    if sys.platform != "linux":
        pytest.skip("walls are Linux's")
    folder = Path(tempfile.mkdtemp(prefix="cb"))
    folder.chmod(0o711)
    opened = Intruder("confined", folder)
    try:
        if (word := opened.isolation()) == "open":
            pytest.skip("this host allows no walls")
        assert word == "confined"
        yield opened
    finally:
        opened.close()
        remove_tree(folder)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_files_are_as_if_the_cell_ran_here(somebody: Intruder, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    prepared = somebody.ask(local=True, code=case.here)
    assert prepared["ok"], prepared
    answer = somebody.ask(local=True, code=f"%%gpu cpu --quiet {case.options}\n{case.there}")
    assert answer["error"].partition(":")[0] == case.raises, answer
    checked = somebody.ask(local=True, code=f"assert {case.after}" if "\n" not in case.after else case.after)
    assert checked["ok"], (checked["error"], checked["text"][-1500:])
