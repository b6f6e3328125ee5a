"""State back, what it costs: nothing for what did not change, and handles move nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.capture.handle import Handle
from kernel_bridge.errors import RemoteValueError

pytestmark = pytest.mark.timeout(120)

Run = Callable[..., "Cost"]


@dataclass(frozen=True)
class Cost:
    """What one cell moved, by the account under it."""

    shipped_bytes: int
    returned_bytes: int
    notices: tuple[str, ...]

    @property
    def moved_bytes(self) -> int:
        return self.shipped_bytes + self.returned_bytes


@pytest.fixture
def run(shell: InteractiveShell) -> Any:
    """Run a cell remotely and return what it moved."""
    seen: list[dict[str, Any]] = []
    publish = shell.display_pub.publish

    def watched(data: Any, metadata: Any = None, **more: Any) -> None:
        seen.append((metadata or {}).get("cellburst", {}))
        publish(data=data, metadata=metadata, **more)

    def run_cell(code: str, options: str = "") -> Cost:
        seen.clear()
        shell.run_cell(f"%%gpu A100 {options}\n{code}").raise_error()
        footer = next(mark for mark in seen if mark.get("footer"))
        return Cost(footer["shipped_bytes"], footer["returned_bytes"], footer["notices"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell.display_pub, "publish", watched)
        yield run_cell


UNCHANGED = {
    "a list": ("v = [1, [2], {'a': 3}]", "len(v)"),
    "sets and dicts": ("v = {'a': {1, 2}, 'b': {'x', 'y'}, 'c': frozenset({3})}", "len(v)"),
    "text and numbers": ("v = ['word' * 99, 1.5, 10**40, b'x' * 999]", "v[0]"),
    "an object": ("class O: pass\nv = O()\nv.items, v.self = [1], v", "v.items"),
    "an object with slots": ("class S:\n  __slots__ = ('a',)\nv = S()\nv.a = [1]", "v.a"),
    "tuples of lists": ("v = ([1], ([2], 3))\nw = v", "v[0], w"),
    "functions that share a counter": (
        "def mk():\n  n = [0]\n  return (lambda: n), (lambda: n)\nv, w = mk()",
        "v() is w()",
    ),
    "a class and its instances": ("class K:\n  n = [1]\nv = [K(), K()]", "v[0].n"),
    "an enum, a dataclass": (
        "import enum, dataclasses\nclass E(enum.Enum):\n  A = 1\n@dataclasses.dataclass\nclass D:\n  e: E = E.A\n"
        "v = D()",
        "v.e is E.A",
    ),
    "an array": ("import numpy as np\nv = np.arange(1e5)", "v.sum()"),
    "an array and its view": ("import numpy as np\nv = np.arange(1e5)\nw = v[10:]", "w.sum() + v.sum()"),
    "arrays of objects": ("import numpy as np\nv = np.array([[1], 'a', None], dtype=object)", "v[0]"),
    "a frame": ("import pandas as pd\nv = pd.DataFrame({'a': range(999), 't': ['x'] * 999})", "v.a.sum()"),
    "a frame that was cached from": (
        "import pandas as pd\nv = pd.DataFrame({'a': [1, 2]})",
        "v.describe(), v.T, v.a, v['a']",
    ),
    "a series with dates": ("import pandas as pd\nv = pd.Series(pd.date_range('2020', periods=9))", "v.dt.year.sum()"),
    "a generator of random numbers": ("import numpy as np\nv = np.random.default_rng(1)", "v.bit_generator"),
    "modules": ("import numpy as v, math as w", "v.pi + w.pi"),
    "dates, decimals, paths, patterns": (
        "import datetime, decimal, pathlib, re\n"
        "v = [datetime.date(2020, 1, 1), decimal.Decimal(1), pathlib.Path('a'), re.compile('a')]",
        "v[3].match('a')",
    ),
}


@pytest.mark.parametrize(("here", "there"), UNCHANGED.values(), ids=[f"W11 {name}" for name in UNCHANGED])
def test_what_is_only_read_moves_once(shell: InteractiveShell, run: Run, here: str, there: str) -> None:
    """Nothing comes home, nothing is sent again, and the names are bound to the objects they were bound to."""
    shell.run_cell(here).raise_error()
    names = {name: shell.user_ns[name] for name in ("v", "w") if name in shell.user_ns}
    first = run(f"_ = ({there})\ndel _")
    again = run(f"_ = ({there})\ndel _")
    assert first.returned_bytes == 0
    assert again.moved_bytes == 0
    assert all(shell.user_ns[name] is value for name, value in names.items())
    for name in names:
        del shell.user_ns[name]


def test_what_came_home_is_not_sent_again(shell: InteractiveShell, run: Run) -> None:
    """After a change the two sides are alike, whichever side it was made on."""
    shell.run_cell("import numpy as np\nx = np.zeros(50_000)\nd = {'a': [1]}").raise_error()
    assert run("x[0] = 1\nd['a'].append(2)").returned_bytes > 400_000
    assert run("(x[0], d)\npass").moved_bytes == 0
    shell.run_cell("d['b'] = 3; x[1] = 5").raise_error()
    assert run("y = (x[1], d['b'])").shipped_bytes > 400_000
    assert run("(x[0], d)\npass").moved_bytes == 0


def test_what_the_cell_does_not_reach_stays_where_it_is(shell: InteractiveShell, run: Run) -> None:
    """A change of one name does not move another, however large; nor its identity."""
    shell.run_cell("import numpy as np\nbig = np.zeros(100_000)\nsmall = [1]").raise_error()
    big = shell.user_ns["big"]
    run("big.sum(), small")
    assert run("small.append(2)").moved_bytes < 2_000
    assert shell.user_ns["big"] is big


def test_what_is_deleted_there_costs_nothing(shell: InteractiveShell, run: Run) -> None:
    """A deletion is a name, not a value."""
    shell.run_cell("import numpy as np\nbig = np.zeros(100_000)").raise_error()
    run("big.sum()")
    assert run("del big").moved_bytes == 0


def test_a_handle_moves_nothing(shell: InteractiveShell, run: Run) -> None:
    """It is used where it is, by several cells, through other names and inside containers, until it is fetched."""
    run("import numpy as np\nbig = np.ones(1_000_000)", "--leave big")
    assert type(shell.user_ns["big"]) is Handle
    assert repr(shell.user_ns["big"]).startswith("<big: numpy.ndarray, shape (1000000,), float64, 8.0 MB on A100")
    assert run("total = float(big.sum())").moved_bytes < 2_000
    shell.run_cell("other = {'h': big}").raise_error()
    assert run("total += float(other['h'][0]); same = other['h'] is big").moved_bytes < 2_000
    assert (shell.user_ns["total"], shell.user_ns["same"]) == (1_000_001.0, True)
    assert run("big[0] = 5").moved_bytes < 2_000
    fetched = shell.user_ns["big"].fetch()
    assert (fetched[0], len(fetched)) == (5, 1_000_000)
    assert type(shell.user_ns["big"]) is Handle


def test_a_handle_is_no_value(shell: InteractiveShell, run: Run) -> None:
    """Every use of it here says what to do; showing it downloads nothing."""
    run("left = [1, 2]", "--leave left")
    for use in ("left[0]", "len(left)", "left + [3]", "list(left)", "left.append(1)", "bool(left)", "left == 1"):
        error = shell.run_cell(use).error_in_exec
        assert type(error) is RemoteValueError, use
        assert str(error).endswith("lives remotely; left.fetch() or use it in a %%gpu cell")
    shell.run_cell("left").raise_error()
    shell.run_cell("str(left); repr(left); f'{left!r}'").raise_error()


def test_what_is_over_the_limit_stays(shell: InteractiveShell, run: Run) -> None:
    """The limit can be set; what is below it comes home beside it."""
    shell.run_cell("%gpu_config writeback_limit=1M").raise_error()
    try:
        cost = run("import numpy as np\nlarge, little = np.zeros(1_000_000), [1]")
    finally:
        shell.run_cell("%gpu_config writeback_limit=auto").raise_error()
    assert type(shell.user_ns["large"]) is Handle
    assert shell.user_ns["little"] == [1]
    assert cost.returned_bytes < 5_000


def test_a_rebound_handle_is_a_value_again(shell: InteractiveShell, run: Run) -> None:
    """Bound anew on either side, the name has its new value on both."""
    run("h1 = h2 = [1]", "--leave h1,h2")
    run("h1 = 'there'")
    shell.run_cell("h2 = 'here'").raise_error()
    run("both = (h1, h2)")
    assert shell.user_ns["both"] == ("there", "here")


def test_a_deleted_handle_is_gone_there(shell: InteractiveShell, run: Run) -> None:
    """The value is let go of with the name."""
    run("h3 = [1]", "--leave h3")
    shell.run_cell("del h3").raise_error()
    error = shell.run_cell("%%gpu A100\nh3").error_in_exec
    assert type(error) is NameError


def test_what_cannot_travel_stays_and_is_named_with_its_reason(shell: InteractiveShell, run: Run) -> None:
    """The rest comes home."""
    run("lazy = (i for i in range(3))\nfirst = next(lazy)\nrest = [1]\nmixed = {'ok': 1, 'g': lazy}")
    assert (shell.user_ns["first"], shell.user_ns["rest"]) == (0, [1])
    assert type(shell.user_ns["lazy"]) is Handle
    assert type(shell.user_ns["mixed"]) is Handle
    assert "a generator" in shell.user_ns["lazy"].info.reason
    assert "mixed['g'] is a generator" in shell.user_ns["mixed"].info.reason
    run("second = next(lazy)\nthird = next(mixed['g'])")
    assert (shell.user_ns["second"], shell.user_ns["third"]) == (1, 2)


def test_a_generator_of_here_is_refused_with_what_to_do(shell: InteractiveShell) -> None:
    """Its position cannot travel."""
    shell.run_cell("gen = (i for i in range(3))\nnext(gen)").raise_error()
    error = shell.run_cell("%%gpu A100\nnext(gen)").error_in_exec
    assert "gen is a generator" in str(error)
    assert "Make it in a `%%gpu` cell" in str(error)
    assert next(shell.user_ns["gen"]) == 1


def test_a_result_that_cannot_come_home_is_a_handle(shell: InteractiveShell, run: Run) -> None:
    """`_` holds it."""
    shell.run_cell("%%gpu A100\n(i for i in range(3))", store_history=True).raise_error()
    assert type(shell.user_ns["_"]) is Handle


def test_out_brings_only_these(shell: InteractiveShell, run: Run) -> None:
    """The others stay as handles, which later cells use and bring home."""
    run("o1, o2 = [1], [2]", "--out o1")
    assert shell.user_ns["o1"] == [1]
    assert type(shell.user_ns["o2"]) is Handle
    run("o2.append(o1[0])")
    assert shell.user_ns["o2"].fetch() == [2, 1]


def test_out_brings_what_is_over_the_limit(shell: InteractiveShell, run: Run) -> None:
    """Who names it wants it."""
    shell.run_cell("%gpu_config writeback_limit=1K").raise_error()
    try:
        run("wanted = list(range(5000))", "--out wanted")
    finally:
        shell.run_cell("%gpu_config writeback_limit=auto").raise_error()
    assert len(shell.user_ns["wanted"]) == 5000


def test_out_brings_numbers_as_numbers(shell: InteractiveShell, run: Run) -> None:
    """Also those that are equal to what a name that stays is bound to."""
    shell.run_cell("base_n = 5").raise_error()
    run("stay = 5\ncome = stay\nalso = base_n", "--out come,also")
    assert (shell.user_ns["come"], shell.user_ns["also"]) == (5, 5)
    assert type(shell.user_ns["stay"]) is Handle
    run("come2 = stay + 0\nlater = 5", "--out come2,later,come")
    assert (shell.user_ns["come2"], shell.user_ns["later"], shell.user_ns["come"]) == (5, 5, 5)
    run("word = 'w'\nword2 = word\nnone = None\nflag = True", "--out word2")
    assert shell.user_ns["word2"] == "w"
    run("none2 = None\nflag2 = True\nsum_ = 5 + 5\nl5 = [5, None, True, 'w']", "")
    assert (shell.user_ns["none2"], shell.user_ns["flag2"], shell.user_ns["l5"]) == (None, True, [5, None, True, "w"])


def test_in_ships_what_is_not_mentioned(shell: InteractiveShell, run: Run) -> None:
    """It is there before the cell asks for it."""
    shell.run_cell("unseen = list(range(9000))").raise_error()
    assert run("1", "--in unseen").shipped_bytes > 15_000
    assert run("len(unseen)\npass").moved_bytes == 0


def test_leave_keeps_what_was_here(shell: InteractiveShell, run: Run) -> None:
    """An input that the cell changes can stay there."""
    shell.run_cell("cur = [1]").raise_error()
    run("cur.append(2)", "--leave cur")
    assert type(shell.user_ns["cur"]) is Handle
    assert shell.user_ns["cur"].fetch() == [1, 2]


def test_a_handle_moves_between_containers(shell: InteractiveShell, run: Run) -> None:
    """Another session uses the value by the same name."""
    run("far = list(range(1000))", "--leave far")
    shell.run_cell("%%gpu cpu\nn_far = len(far)").raise_error()
    assert shell.user_ns["n_far"] == 1000
    assert type(shell.user_ns["far"]) is Handle


def test_a_value_may_hold_a_handle(shell: InteractiveShell, run: Run) -> None:
    """What comes home with something remote inside has its stand-in there."""
    run("inner = [1]", "--leave inner")
    run("outer = {'i': inner, 'n': 1}")
    assert shell.user_ns["outer"]["n"] == 1
    assert shell.user_ns["outer"]["i"] is shell.user_ns["inner"]
    run("outer['i'].append(2); grown = list(inner)")
    assert shell.user_ns["grown"] == [1, 2]
