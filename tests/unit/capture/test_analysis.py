"""What a cell's text says about its names."""

from __future__ import annotations

import sys

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from kernel_bridge.capture.analysis import CellNames, cell_names, could_be_path


def names(cell: str) -> CellNames:
    """Analyse a cell as the notebook has it."""
    transform = TransformerManager().transform_cell
    return cell_names(transform(cell), transform)


@pytest.mark.parametrize(
    ("cell", "reads"),
    [
        ("x = a + 1\nx", "a"),
        ("n += 1", "n"),
        ("def f():\n    global n\n    n += k", "n k"),
        ("[i * z for i in rows]", "z rows"),
        ("[(y := i) for i in rows]\ny", "rows y"),
        ("await foo(b)\nasync with c as d: d", "foo b c"),
        ("f(i, [i for i in a])", "f i a"),
        ("class A:\n    x = {k: [v for v in w] for k in b}", "b w"),
        ("async def g():\n    return {await h(x) for x in y}, [x async for x in z]", "h y z"),
        ("if t: x = 1\nx", "t x"),
        ("if t: x = 1\nelse: x = 2\nx", "t"),
        ("for i in r: s = i", "r"),
        ("f'{a:{b}} {c!r}'", "a b c"),
        ("class A(B, metaclass=M):\n    x = y\n    def m(self, d=q): return g", "B M y q g"),
        ("del a, b[0]", "b"),
        ("try: t = 1\nexcept E as e: e", "E"),
        ("match v:\n    case {'k': k, **r}: k, r\n    case P(x=0): w", "v P w"),
        ("@deco\ndef f(x: T) -> U: return x", "deco T U"),
        ("lambda x: x + y", "y"),
        ("a, *b = c", "c"),
        ("import numpy as np\nnp.zeros(3)", ""),
        ("sum = sum", "sum"),
        *([("type A[T: B] = C[T]\nA", "B C")] if sys.version_info >= (3, 12) else []),
    ],
)
def test_reads(cell: str, reads: str) -> None:
    """Exactly the names the notebook must have are read."""
    assert names(cell).reads == set(reads.split())


@pytest.mark.parametrize(
    ("cell", "reads"),
    [
        ("%time r = f(x)", "f x"),
        ("%timeit -n 10 -r 3 foo(bar)", "foo bar"),
        ("%%time\ny = g(h)", "g h"),
        ("!echo $name {other + 1}", "name other"),
        ("out = !ls {folder}", "folder"),
        ("x?", "x"),
    ],
)
def test_reads_inside_magics(cell: str, reads: str) -> None:
    """Python and expansions inside magics count."""
    assert names(cell).reads == set(reads.split())


def test_a_comprehension_keeps_its_variables() -> None:
    """They are nobody else's, in every Python."""
    assert names("r = [i for i in a if (last := i)]\n{k: [j for j in k] for k in b}").writes == {"r", "last"}


def test_writes_deletes_and_imports() -> None:
    """What a cell binds, deletes and imports is told apart."""
    found = names("import a.b as c, os\nfrom d.e import f\nx = y = 1\ndel y\ndef g():\n    import h\n%time z = 1")
    assert found.writes == {"c", "os", "f", "x", "y", "g", "z"}
    assert found.deletes == {"y"}
    assert found.imports == {"a.b", "os", "d.e", "h"}


@pytest.mark.parametrize(
    "cell", ["eval('a')", "globals()['a']", "vars()", "dir()", "get_ipython().user_ns", "import __main__", "%run x.py"]
)
def test_dynamic_cells(cell: str) -> None:
    """Code that may use any name says so."""
    assert names(cell).dynamic


def test_vars_of_an_object_is_not_dynamic() -> None:
    """`vars(x)` and `dir(x)` look at one object only."""
    assert not names("vars(x), dir(x)").dynamic


def test_path_strings() -> None:
    """Texts that could name a file are found, pieces of f-strings and addresses are not."""
    found = names("open('data/x.csv'); f'{a}/b.txt'; 'https://x.org/a'; 'two\\nlines'")
    assert found.path_strings == ("data/x.csv",)
    assert not could_be_path("x" * 5000)


def test_a_syntax_error_is_raised() -> None:
    """A cell that cannot run is found before anything starts."""
    with pytest.raises(SyntaxError):
        cell_names("x = = 1")
