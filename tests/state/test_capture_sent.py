"""State in: what is sent for a cell, in names and bytes. C10, C19, C20, C21."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.watching import footers

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def seen(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the footers of the cells say."""
    shell.run_cell("%%gpu A100\npass")  # the container is up, and told of the names there are
    return footers(shell, monkeypatch)


def run(shell: InteractiveShell, there: str, here: str = "") -> None:
    """Run both parts; raises AssertionError."""
    assert shell.run_cell(here).success
    assert shell.run_cell(f"%%gpu A100\n{there}").success


def test_a_cell_that_reads_nothing_sends_nothing(shell: InteractiveShell, seen: list[dict[str, Any]]) -> None:
    """C21: zero bytes of state, whatever the notebook holds."""
    run(shell, "r21 = 1 + 1", "big21 = bytearray(1_000_000)\nsmall21 = {'a': [1]}\ndef f21(): return big21")
    assert seen[-1]["shipped_bytes"] == 0


def test_of_many_names_only_those_read_are_sent(shell: InteractiveShell, seen: list[dict[str, Any]]) -> None:
    """C20: 10,000 small variables, two of them read."""
    run(shell, "r20 = v20_7['n'] + v20_9['n']", "for i20 in range(10_000): globals()[f'v20_{i20}'] = {'n': i20}")
    assert shell.user_ns["r20"] == 16
    assert 0 < seen[-1]["shipped_bytes"] < 2_000
    assert not seen[-1]["paged"]
    for number in range(10_000):
        del shell.user_ns[f"v20_{number}"]


def test_an_unchanged_value_is_not_sent_again(shell: InteractiveShell, seen: list[dict[str, Any]]) -> None:
    """What the container holds already costs nothing, until it changes here."""
    run(shell, "r1 = len(kept)", "kept = [bytearray(100_000)]")
    first = seen[-1]["shipped_bytes"]
    run(shell, "r1 = len(kept)")
    second = seen[-1]["shipped_bytes"]
    run(shell, "r1 = len(kept)", "kept.append(bytearray(100_000))")
    assert (first > 100_000, second, seen[-1]["shipped_bytes"] > 100_000) == (True, 0, True)


def test_one_array_behind_two_names_is_sent_once(shell: InteractiveShell, seen: list[dict[str, Any]]) -> None:
    """C19: aliases, views and containers of one array add nothing to its bytes."""
    here = "import numpy as np\narr19 = np.arange(1_000_000)\nsame19, view19, box19 = arr19, arr19[10:], {'a': arr19}"
    run(shell, "r19 = arr19 is same19, np.shares_memory(view19, arr19), box19['a'] is arr19", here)
    assert shell.user_ns["r19"] == (True, True, True)
    assert 8_000_000 <= seen[-1]["shipped_bytes"] < 8_100_000


def test_a_read_that_is_not_reached_is_not_sent(shell: InteractiveShell, seen: list[dict[str, Any]]) -> None:
    """C10: names that only text made by the running code mentions are fetched when it is touched, and not before."""
    setup = "big10 = bytearray(3_000_000)\npick10 = {'yes': 'big10', 'no': 'none10'}\nnone10 = 0"
    cell = "import builtins\nr10 = [getattr(builtins, 'ev' + 'al')(pick10['{}'])]"
    run(shell, cell.format("no"), setup)
    assert seen[-1]["shipped_bytes"] < 10_000
    run(shell, cell.format("yes"))
    assert "big10" in seen[-1]["paged"]
    assert seen[-1]["shipped_bytes"] > 3_000_000


def test_a_dynamic_cell_is_sent_small_values_only(shell: InteractiveShell, seen: list[dict[str, Any]]) -> None:
    """A cell that may use any name gets the small ones ahead; a large one is fetched when it is used."""
    run(shell, "r11 = globals()['tiny11']", "tiny11 = 3\nlarge11 = bytearray(2_000_000)")
    assert "large11" not in seen[-1]["paged"]
    assert seen[-1]["shipped_bytes"] < 1_000_000
    run(shell, "r11 = len(globals()['large11'])")
    assert "large11" in seen[-1]["paged"]
    assert shell.user_ns["r11"] == 2_000_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_gigabytes_behind_two_names_are_sent_once(shell: InteractiveShell, seen: list[dict[str, Any]]) -> None:
    """C19: one 2 GB array and its alias."""
    run(shell, "r19 = a192 is b192, a192.nbytes", "import numpy as np\na192 = np.zeros(1 << 28)\nb192 = a192")
    assert shell.user_ns["r19"] == (True, 1 << 31)
    assert 1 << 31 <= seen[-1]["shipped_bytes"] < (1 << 31) + 1_000_000
    del shell.user_ns["a192"], shell.user_ns["b192"]
    run(shell, "pass")
