"""State back: local cells between two remote ones. What they changed stays, and they see what a cell left behind."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def _run(shell: InteractiveShell, cell: str) -> None:
    shell.run_cell(cell, store_history=True).raise_error()


def test_what_changed_here_stays_though_a_result_shared_with_it(shell: InteractiveShell) -> None:
    """The value of a cell's last expression was a part of it; a later cell does not touch either."""
    _run(shell, "%%gpu A100\nagenda = {1: ['leap']}\nagenda[1]")
    _run(shell, "agenda[2] = ['work']")
    _run(shell, "%%gpu A100\nother = 1\nother, other")
    assert shell.user_ns["agenda"] == {1: ["leap"], 2: ["work"]}


def test_a_figure_changed_here_stays_when_a_cell_draws_another(shell: InteractiveShell) -> None:
    """Figures have objects of the library's in common, and are values of their own."""
    _run(shell, "%%gpu A100\nfrom matplotlib.figure import Figure\none = Figure()\none.subplots().plot([1, 2])\none")
    _run(shell, "one.axes[0].lines[0].set_ydata([5, 6])")
    _run(shell, "%%gpu A100\nfrom matplotlib.figure import Figure\nanother = Figure()\nanother.subplots().plot([3])")
    assert list(shell.user_ns["one"].axes[0].lines[0].get_ydata()) == [5, 6]


def test_deferred_annotations_hold_on_both_sides(shell: InteractiveShell) -> None:
    """`from __future__ import annotations` in one cell is true of those after it."""
    _run(shell, "%%gpu A100\nfrom __future__ import annotations")
    _run(shell, "def here(x: Nowhere): pass")
    _run(shell, "%%gpu A100\ndef there(x: Nowhere): pass")
    assert shell.user_ns["here"].__annotations__ == shell.user_ns["there"].__annotations__ == {"x": "Nowhere"}


def test_the_source_of_what_a_cell_defined_is_known_here(shell: InteractiveShell) -> None:
    """For tracebacks, warnings and `inspect.getsource`."""
    _run(shell, "%%gpu A100\nx = 1\ndef halve(n):\n    return n / 2")
    _run(shell, "import inspect\ntext = inspect.getsource(halve)")
    assert shell.user_ns["text"] == "def halve(n):\n    return n / 2\n"


def test_a_setting_of_decimal_holds_in_a_cell_that_does_not_import_it(shell: InteractiveShell) -> None:
    """It is the module's own, and was imported by an earlier cell."""
    _run(shell, "%%gpu A100\nimport decimal")
    _run(shell, "decimal.getcontext().prec = 8")
    _run(shell, "%%gpu A100\nthere = decimal.getcontext().prec")
    _run(shell, "decimal.getcontext().prec = 28")
    assert shell.user_ns["there"] == 8
