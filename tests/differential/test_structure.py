"""The oracle itself: what is the same looks the same, what differs is found, and nothing is changed by looking."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.differential.compare import compare
from tests.differential.inside.walk import structure
from tests.differential.kernel import After, Output
from tests.differential.notebook import Cell, Notebook, read

NUMPY = "import numpy as np\n"
PANDAS = "import numpy as np, pandas as pd\n"
TORCH = "import torch\nfrom torch import nn\n"

# What is there, and the same with one thing changed.
DIFFERENT = {
    "an element": ("a = [1, [2, 3]]", "a = [1, [2, 4]]"),
    "a type": ("a = 1", "a = True"),
    "a float's sign": ("a = 0.0", "a = -0.0"),
    "an element of many": ("a = list(range(1000))", "a = list(range(1000)); a[512] = 0"),
    "an alias": ("a = [1]; b = a", "a = [1]; b = [1]"),
    "an alias deep inside": ("a = [1]; b = {'x': (0, a)}", "a = [1]; b = {'x': (0, [1])}"),
    "a cycle": ("a = []; a.append(a)", "a = []; a.append([a])"),
    "an order of keys": ("a = {1: 0, 2: 0}", "a = {2: 0, 1: 0}"),
    "an order of a list": ("a = [1, 2]", "a = [2, 1]"),
    "a member of a set": ("a = {1, 2}", "a = {1, 3}"),
    "a lost attribute": ("class C: pass\na = C(); a.x = 1", "class C: pass\na = C()"),
    "a slot": ("class C:\n    __slots__ = ('x',)\na = C(); a.x = 1", "class C:\n    __slots__ = ('x',)\na = C()"),
    "an attribute of a list": ("class L(list): pass\na = L(); a.x = 1", "class L(list): pass\na = L()"),
    "a default": ("def f(n=[1]): return n", "def f(n=[2]): return n"),
    "a function's code": ("def f(n): return n + 1", "def f(n): return n + 2"),
    "a closure's content": ("def g(n):\n    return lambda: n\nf = g(1)", "def g(n):\n    return lambda: n\nf = g(2)"),
    "a shared closure": (
        "def g():\n    n = 0\n    return (lambda: n), (lambda: n)\na, b = g()",
        "def g():\n    n = 0\n    return (lambda: n), (lambda: n)\na, b = g()[0], g()[1]",
    ),
    "a function's globals": (
        "def f(): pass",
        "exec('def f(): pass', d := {'__name__': '__main__'}); f = d.pop('f'); del d",
    ),
    "a class attribute": ("class C: n = 1", "class C: n = 2"),
    "a base": ("class A: pass\nclass B: pass\nclass C(A): pass", "class A: pass\nclass B: pass\nclass C(B): pass"),
    "an old class": (
        "class C: pass\na = C()\nC = C",
        "class C: pass\na = C()\nclass C: pass",
    ),
    "a default factory": (
        "from collections import defaultdict\na = defaultdict(list)",
        "from collections import defaultdict\na = defaultdict(set)",
    ),
    "a place in a file": ("import io\na = io.StringIO('xy')", "import io\na = io.StringIO('xy'); a.read(1)"),
    "a generator's place": ("a = (n for n in [1, 2])", "a = (n for n in [1, 2]); next(a)"),
    "a generator of numbers": (
        "import random\na = random.Random(1)",
        "import random\na = random.Random(1); a.random()",
    ),
    "an exception's cause": ("a = ValueError(1)", "a = ValueError(1); a.__cause__ = KeyError(2)"),
    "a name": ("a = 1", "b = 1"),
    "an array's element": (NUMPY + "a = np.zeros((100, 100))", NUMPY + "a = np.zeros((100, 100)); a[5, 5] = 1"),
    "an array's type": (NUMPY + "a = np.zeros(3)", NUMPY + "a = np.zeros(3, 'f4')"),
    "an array's order": (NUMPY + "a = np.zeros((3, 2))", NUMPY + "a = np.zeros((3, 2), order='F')"),
    "a view": (NUMPY + "a = np.zeros(9); b = a[2:4]", NUMPY + "a = np.zeros(9); b = a[2:4].copy()"),
    "a view's place": (NUMPY + "a = np.zeros(9); b = a[2:4]", NUMPY + "a = np.zeros(9); b = a[3:5]"),
    "an array that is read-only": (NUMPY + "a = np.zeros(9)", NUMPY + "a = np.zeros(9); a.flags.writeable = False"),
    "numpy's generator": (NUMPY + "a = np.random.default_rng(1)", NUMPY + "a = np.random.default_rng(1); a.random()"),
    "a frame's cell": (PANDAS + "a = pd.DataFrame({'x': [1, 2]})", PANDAS + "a = pd.DataFrame({'x': [1, 3]})"),
    "a frame's index": (
        PANDAS + "a = pd.DataFrame({'x': [1, 2]})",
        PANDAS + "a = pd.DataFrame({'x': [1, 2]}, index=[0, 2])",
    ),
    "a category's order": (
        PANDAS + "a = pd.Series(['x'], dtype=pd.CategoricalDtype(['x', 'y']))",
        PANDAS + "a = pd.Series(['x'], dtype=pd.CategoricalDtype(['y', 'x']))",
    ),
}
DIFFERENT_TORCH = {
    "a weight": ("a = nn.Linear(2, 2)", "a = nn.Linear(2, 2)\nwith torch.no_grad(): a.weight[0, 0] += 1"),
    "tied weights": (
        "a = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]); a[1].weight = a[0].weight",
        "a = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]); a[1].load_state_dict(a[0].state_dict())",
    ),
    "an optimizer's parameters": (
        "a = nn.Linear(2, 2); b = torch.optim.SGD(a.parameters(), 0.1)",
        "a = nn.Linear(2, 2); b = torch.optim.SGD([p.detach().clone() for p in a.parameters()], 0.1)",
    ),
    "a storage": ("a = torch.zeros(9); b = a[2:]", "a = torch.zeros(9); b = a[2:].clone()"),
    "a gradient": (
        "a = torch.ones(1, requires_grad=True)",
        "a = torch.ones(1, requires_grad=True); a.sum().backward()",
    ),
}


def looked_at(code: str) -> dict[str, Any]:
    """Run code in a namespace of its own and return what is seen of it."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(code, namespace)
    return _seen(namespace)


def _seen(namespace: dict[str, Any]) -> dict[str, Any]:
    return structure([name for name in namespace if not name.startswith("__")], namespace, {})


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_difference_is_found(what: str) -> None:
    """The same code looks the same twice, and one thing changed does not."""
    one, other = DIFFERENT[what]
    assert looked_at(one) == looked_at(one)
    assert looked_at(one) != looked_at(other)


@pytest.mark.torch
@pytest.mark.parametrize("what", DIFFERENT_TORCH)
def test_a_difference_in_torch_is_found(what: str) -> None:
    """The same for modules, optimizers and tensors."""
    one, other = (f"{TORCH}torch.manual_seed(1)\n{code}" for code in DIFFERENT_TORCH[what])
    assert looked_at(one) == looked_at(one)
    assert looked_at(one) != looked_at(other)


@pytest.mark.parametrize(
    "code",
    [
        "a = {'x', 'y', ('z', 1)}",
        "class C:\n    def __eq__(self, other): raise ValueError\n    __hash__ = None\na = C()",
        "class C:\n    def __getattr__(self, name): raise RuntimeError(name)\na = C()",
        "class C:\n    @property\n    def x(self): raise RuntimeError\na = C()",
        "import threading\na = threading.Lock(); b = threading.Thread()",
        "a = None\nfor n in range(50_000): a = [a]",
        "import enum\nclass E(enum.Enum):\n    A = 1\na = E.A",
        "import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int = 0\na = D()",
        "from matplotlib.figure import Figure\na = Figure(); b = a.subplots(); b.plot([1, 2])",
        "import functools\nf = functools.lru_cache(lambda n: n); f(1)",
    ],
)
def test_what_is_difficult_looks_the_same_twice(code: str) -> None:
    """Hostile classes, locks, deep values and figures: no two runs of one code differ, and nothing is raised."""
    assert looked_at(code) == looked_at(code)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """Generators stay where they are, files keep their place, lazy values are not worked out, views are not read."""
    (tmp_path / "text").write_text("one\ntwo\n")
    counted = []

    class Lazy:
        def __getattr__(self, name: str) -> str:
            counted.append(name)
            raise AttributeError(name)

        @property
        def costly(self) -> int:
            counted.append("costly")
            return 1

    with (tmp_path / "text").open() as file:
        steps = iter([1, 2, 3])
        namespace = {
            "lazy": Lazy(),
            "made": (n for n in steps),
            "file": file,
            "buffer": io.StringIO("xy"),
            "i": iter([1]),
        }
        file.readline()
        assert _seen(namespace) == _seen(namespace)
        assert file.readline() == "two\n"
    assert list(namespace["made"]) == [1, 2, 3]
    assert list(namespace["i"]) == [1]
    assert "costly" not in counted


def test_the_first_cell_that_differs_is_told() -> None:
    """By its number, its code, the path inside the value and both sides; and how to run it again."""
    notebook = Notebook("some", (Cell("a = 1"), Cell("b = [a]"), Cell("c = 2")))
    same, here, there = (_after(names) for names in ({"a": "1"}, {"a": "1", "b[0]": "1"}, {"a": "1", "b[0]": "2"}))
    found = compare(notebook, frozenset({1}), [same, here, here], [same, there, there])
    assert found is not None
    told = str(found)
    assert "cell 2 (remote) differs" in told
    assert "| b = [a]" in told
    assert "b[0]\n    locally:  1\n    remotely: 2" in told
    assert "python -m tests.differential some --remote 2" in told


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ([("stdout", "a"), ("stdout", "b")], [("stdout", "ab")], True),
        ([("stderr", "e"), ("stdout", "a")], [("stdout", "a"), ("stderr", "e")], True),
        ([("stdout", "<C at 0x7f00aa00>")], [("stdout", "<C at 0x7f00bb00>")], True),
        ([("stdout", "Wall time: 3 ms")], [("stdout", "Wall time: 5 ms")], True),
        ([("stdout", "it took 3 s")], [("stdout", "it took 5 s")], False),
        ([("stdout", "a")], [("stderr", "a")], False),
        ([("stdout", "a")], [], False),
    ],
)
def test_outputs_are_compared_by_the_rules(
    here: list[tuple[str, str]], there: list[tuple[str, str]], same: bool
) -> None:
    """Chance in the order of two streams, addresses and measured times are no difference; all else is."""
    sides = [[_after({}, [Output("stream", name, {"text": text}) for name, text in side])] for side in (here, there)]
    assert (compare(Notebook("some", (Cell("x"),)), frozenset(), *sides) is None) == same


def test_our_footer_is_not_compared() -> None:
    """It is what a remote cell shows and a local one does not."""
    footer = Output("display_data", "", {"text/plain": "A100 · 1 s"}, {"cellburst": {"footer": True}})
    assert compare(Notebook("some", (Cell("x"),)), frozenset({0}), [_after({})], [_after({}, [footer])]) is None


def test_cells_are_chosen_by_word_number_or_seed() -> None:
    """Local cells never, groups together, and by a seed always the same ones."""
    cells = (Cell("a", local=True), Cell("b"), Cell("c", group="g"), Cell("d"), Cell("e", group="g"))
    notebook = Notebook("some", cells)
    assert notebook.chosen("all") == {1, 2, 3, 4}
    assert notebook.chosen("3") == {2, 4}
    assert notebook.chosen("odd") == {1, 3}
    assert notebook.chosen("seed 7") == notebook.chosen("seed 7")
    assert {notebook.chosen(f"seed {seed}") for seed in range(20)} > {notebook.chosen("seed 7")}
    assert all(
        {2, 4}.isdisjoint(found) or {2, 4} <= found for found in (notebook.chosen(f"seed {n}") for n in range(20))
    )


def test_a_notebook_is_read_from_percent_format(tmp_path: Path) -> None:
    """Words on cells are read, text is left out, and a word that says nothing is refused."""
    (tmp_path / "one.py").write_text(
        "# %% [markdown]\n# x\n\n# %% local\n%pwd\n\n# %% raises group=g keeps=a,b\n1 / 0\n\n# %%\n# x\n"
    )
    cells = read(tmp_path / "one.py").cells
    assert [cell.source for cell in cells] == ["%pwd", "1 / 0", "# x"]
    assert [cell.local for cell in cells] == [True, False, True]
    assert cells[1] == Cell("1 / 0", raises=True, group="g", keeps=frozenset({"a", "b"}))
    (tmp_path / "one.py").write_text("# %% raise\n1\n")
    with pytest.raises(ValueError, match="says nothing"):
        read(tmp_path / "one.py")


def _after(names: dict[str, str], outputs: list[Output] | None = None) -> After:
    return After(outputs or [], {name[0]: [[name, told]] for name, told in names.items()}, "")
