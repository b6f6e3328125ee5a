"""State back, numpy and pandas: what is written into arrays and frames over there is written into those here."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def _array(what: str, made: str, change: str, then: str) -> Case:
    """Return a row whose array `x` must stay the object and the memory it was."""
    here = f"import numpy as np\n{made}\nalias = x\nwas = id(x), x.__array_interface__['data'][0]"
    kept = "(id(x), x.__array_interface__['data'][0]) == was and alias is x"
    return Case(id=f"W5 {what}", here=here, there=change, after=f"{kept} and ({then})")


def _frame(what: str, made: str, change: str, then: str) -> Case:
    """Return a row whose frame or series `df` must stay the object it was."""
    here = f"import numpy as np, pandas as pd\n{made}\nalias = df\nwas = id(df)"
    return Case(id=f"W5 {what}", here=here, there=change, after=f"id(df) == was and alias is df and ({then})")


ARRAYS = [
    _array("an element", "x = np.zeros(4)", "x[1] = 7", "x[1] == 7"),
    _array("a large array", "x = np.zeros(300_000)", "x[123_456] = 7", "x[123_456] == 7 and x.sum() == 7"),
    _array("+=", "x = np.arange(4.)", "x += 1", "x.tolist() == [1, 2, 3, 4]"),
    _array("a mask", "x = np.arange(4)", "x[x > 1] = 0", "x.tolist() == [0, 1, 0, 0]"),
    _array("sort and fill", "x = np.array([3, 1, 2])", "x.sort(); x[2:] = 9", "x.tolist() == [1, 2, 9]"),
    _array("out=", "x = np.arange(4.)", "np.sqrt(x, out=x)", "x[1] == 1 and x[3] > 1.7"),
    _array("of bools", "x = np.zeros(3, bool)", "x[1] = True", "x.tolist() == [False, True, False]"),
    _array("of complex numbers", "x = np.zeros(2, complex)", "x.imag[1] = 2", "x[1] == 2j"),
    _array("of text", "x = np.array(['a', 'b'])", "x[1] = 'z'", "x.tolist() == ['a', 'z']"),
    _array("of dates", "x = np.array(['2020-01-01'], 'M8[D]')", "x += 1", "str(x[0]) == '2020-01-02'"),
    _array("of no dimension", "x = np.array(1.0)", "x[()] = 2", "x == 2"),
    _array("of no element", "x = np.zeros((0, 3))", "y = x + 1", "y.shape == (0, 3)"),
    _array(
        "of objects",
        "o = [1]\nx = np.array([o, None], dtype=object)",
        "x[0].append(2); x[1] = x[0]",
        "x[0] is o is x[1] and o == [1, 2]",
    ),
    _array("structured", "x = np.zeros(2, [('a', 'i4'), ('b', 'f8')])", "x['b'][1] = 2.5", "x[1]['b'] == 2.5"),
    _array(
        "a matrix in columns",
        "x = np.asfortranarray(np.zeros((3, 4)))",
        "x[1, 2] = 5",
        "x[1, 2] == 5 and x.flags.f_contiguous",
    ),
    _array("in a list of arrays", "x = np.zeros(3)\nboth = [x, x]", "both[1][0] = 1", "x[0] == 1 and both[0] is x"),
    _array(
        "in a dict of arrays",
        "x = np.zeros(40_000)\nd5 = {'w': x, 'b': np.zeros(2)}",
        "d5['w'] += 1; d5['b'] -= 1",
        "d5['w'] is x and x[7] == 1",
    ),
    _array("in an object", "class M: pass\nm5 = M()\nx = m5.w = np.zeros(3)", "m5.w[0] = 1", "m5.w is x and x[0] == 1"),
    _array("a view, written through", "x = np.zeros(4)\nv = x[1:]", "v[0] = 7", "x[1] == 7 and v.base is x"),
    _array("a view, seen", "x = np.zeros(4)\nv = x[1:]", "x[1] = 7", "v[0] == 7 and v.base is x"),
    _array("a view with a step", "x = np.zeros(6)\nv = x[::2]", "v[1] = 7", "x[2] == 7 and v.base is x"),
    _array("a reversed view", "x = np.zeros(6)\nv = x[::-1]", "v[0] = 7", "x[5] == 7 and v.base is x"),
    _array("a transposed view", "x = np.zeros((2, 3))\nv = x.T", "v[2, 1] = 7", "x[1, 2] == 7 and v.base is x"),
    _array("a reshaped view", "x = np.zeros(6)\nv = x.reshape(2, 3)", "v[1, 2] = 7", "x[5] == 7 and v.base is x"),
    _array(
        "a row and a column",
        "x = np.zeros((3, 3))\nr, c = x[1], x[:, 1]",
        "r[0] = 1; c[0] = 2",
        "x[1, 0] == 1 and x[0, 1] == 2 and np.shares_memory(r, c)",
    ),
    _array("a view of a view", "x = np.zeros(6)\nv = x[1:][1:]", "v[0] = 7", "x[2] == 7"),
    _array(
        "a field",
        "x = np.zeros(2, [('a', 'i4'), ('b', 'f8')])\nv = x['b']",
        "v[1] = 3",
        "x['b'][1] == 3 and np.shares_memory(v, x)",
    ),
    _array(
        "a view of large memory", "x = np.zeros((1000, 1000))\nv = x[10]", "v[5] = 7", "x[10, 5] == 7 and v.base is x"
    ),
    _array("a view made there", "x = np.zeros(4)", "v = x[1:]\nv[0] = 7", "x[1] == 7 and np.shares_memory(v, x)"),
    _array(
        "masked",
        "x = np.ma.array([1, 2, 3], mask=[0, 0, 1])",
        "x[0] = 9; x[1] = np.ma.masked",
        "x.tolist() == [9, None, None]",
    ),
    _array(
        "a subclass with an attribute",
        "class U(np.ndarray): pass\nx = np.zeros(3).view(U)\nx.unit = 'm'",
        "x[0] = 1; x.unit = 'km'",
        "x[0] == 1 and x.unit == 'km' and type(x) is U",
    ),
    _array("records", "x = np.rec.array([(1, 2.0)], names='a,b')", "x.b[0] = 5", "x.b[0] == 5"),
    Case(
        id="W5 two views of an unnamed base",
        here="import numpy as np\nv1, v2 = (lambda b: (b[:3], b[2:]))(np.zeros(5))",
        there="v1[2] = 7",
        after="v2[0] == 7 and np.shares_memory(v1, v2)",
    ),
    Case(
        id="W5 another shape",
        here="import numpy as np\nx = np.arange(4)\ny = x",
        there="x = x.reshape(2, 2)\nlen(y)",
        after="x.shape == (2, 2) and y.shape == (4,) and np.shares_memory(x, y)",
    ),
    Case(
        id="W5 another length",
        here="import numpy as np\nx = np.arange(4)",
        there="x = np.append(x, 4)",
        after="x.tolist() == [0, 1, 2, 3, 4]",
    ),
    Case(
        id="W5 a copy is a copy",
        here="import numpy as np\nx = np.zeros(3)",
        there="y = x.copy()\ny[0] = 1",
        after="x[0] == 0 and y[0] == 1 and not np.shares_memory(x, y)",
    ),
    Case(
        id="W5 the base alone changes hands",
        here="import numpy as np\nx = np.zeros(4)\nv = x[1:]\nwas = x",
        there="x = np.ones(4)",
        after="was[0] == 0 and v.base is was and x[0] == 1",
    ),
    Case(
        id="W5 read-only arrays",
        here="import numpy as np\nx = np.arange(3)\nx.flags.writeable = False",
        there="y = x + 1\nok = x.flags.writeable",
        after="ok is False and not x.flags.writeable and y.tolist() == [1, 2, 3]",
    ),
    Case(
        id="W5 a sparse matrix",
        here="import scipy.sparse as sp\nm = sp.lil_matrix((3, 3))\nm2 = m",
        there="m[1, 1] = 5",
        after="m is m2 and m[1, 1] == 5",
    ),
]

FRAMES = [
    _frame("a new column", "df = pd.DataFrame({'a': [1, 2]})", "df['b'] = df.a * 2", "df.b.tolist() == [2, 4]"),
    _frame(
        "a large frame",
        "df = pd.DataFrame({'a': np.arange(300_000), 't': ['x'] * 300_000})",
        "df.loc[5, 't'] = 'y'",
        "df.t[5] == 'y' and df.shape == (300_000, 2)",
    ),
    _frame(
        "loc, iloc, at",
        "df = pd.DataFrame({'a': [1, 2], 'b': [3, 4]})",
        "df.loc[0, 'a'] = 9; df.iloc[1, 1] = 8; df.at[1, 'a'] = 7",
        "df.values.tolist() == [[9, 3], [7, 8]]",
    ),
    _frame("loc adds a row", "df = pd.DataFrame({'a': [1]})", "df.loc[1] = 5", "df.a.tolist() == [1, 5]"),
    _frame(
        "drop in place",
        "df = pd.DataFrame({'a': [1], 'b': [2]})",
        "df.drop(columns='b', inplace=True)",
        "list(df) == ['a']",
    ),
    _frame(
        "del and pop of columns",
        "df = pd.DataFrame({'a': [1], 'b': [2], 'c': [3]})",
        "del df['a']; df.pop('b')",
        "list(df) == ['c']",
    ),
    _frame("insert", "df = pd.DataFrame({'a': [1]})", "df.insert(0, 'z', 0)", "list(df) == ['z', 'a']"),
    _frame(
        "rename and set_index in place",
        "df = pd.DataFrame({'a': [1], 'b': ['k']})",
        "df.rename(columns={'a': 'A'}, inplace=True); df.set_index('b', inplace=True)",
        "df.loc['k', 'A'] == 1 and df.index.name == 'b'",
    ),
    _frame(
        "sort in place",
        "df = pd.DataFrame({'a': [2, 1]})",
        "df.sort_values('a', inplace=True)",
        "df.index.tolist() == [1, 0]",
    ),
    _frame(
        "fillna in place",
        "df = pd.DataFrame({'a': [1, None]})",
        "df.fillna(0, inplace=True)",
        "df.a.tolist() == [1, 0]",
    ),
    _frame(
        "columns and index assigned",
        "df = pd.DataFrame([[1, 2]])",
        "df.columns = ['x', 'y']; df.index = ['r']",
        "df.loc['r', 'y'] == 2",
    ),
    _frame(
        "a column's type",
        "df = pd.DataFrame({'a': ['x', 'y']})",
        "df['a'] = df.a.astype('category')",
        "df.a.dtype == 'category'",
    ),
    _frame(
        "dates with a zone",
        "df = pd.DataFrame({'t': pd.date_range('2020', periods=2, tz='UTC')})",
        "df['u'] = df.t + pd.Timedelta(days=1)",
        "str(df.u.dtype) == df.t.dtype.name and df.u[0].day == 2",
    ),
    _frame(
        "a MultiIndex",
        "df = pd.DataFrame({'a': [1, 2]}, index=pd.MultiIndex.from_tuples([('x', 1), ('x', 2)]))",
        "df.loc[('x', 2), 'a'] = 9",
        "df.a.tolist() == [1, 9]",
    ),
    _frame(
        "objects in cells",
        "cellv = [1]\ndf = pd.DataFrame({'a': [cellv, None]}, dtype=object)",
        "df['n'] = 1",
        "df.n.tolist() == [1, 1]",
    ),
    _frame("attrs", "df = pd.DataFrame({'a': [1]})", "df.attrs['unit'] = 'm'", "df.attrs == {'unit': 'm'}"),
    _frame(
        "a series",
        "df = pd.Series([1, 2], name='s')",
        "df.iloc[0] = 9; df.name = 't'",
        "df.tolist() == [9, 2] and df.name == 't'",
    ),
    _frame("a series grows", "df = pd.Series({'a': 1})", "df['b'] = 2", "df.to_dict() == {'a': 1, 'b': 2}"),
    _frame(
        "in a dict",
        "df = pd.DataFrame({'a': [1]})\ntables = {'t': df}",
        "tables['t']['b'] = 2",
        "tables['t'] is df and list(df) == ['a', 'b']",
    ),
    _frame(
        "in an object",
        "class H: pass\nh5 = H()\nh5.df = df = pd.DataFrame({'a': [1]})",
        "h5.df.loc[0, 'a'] = 5",
        "h5.df is df and df.a[0] == 5",
    ),
    _frame(
        "a column as a series of its own",
        "df = pd.DataFrame({'a': [1, 2]})\ns5 = df['a']",
        "df.loc[0, 'a'] = 9",
        "s5.tolist() == [1, 2] and df.a.tolist() == [9, 2]",
    ),
    _frame(
        "a series made from a column there",
        "df = pd.DataFrame({'a': [1, 2]})",
        "s5 = df['a']\ns5.iloc[0] = 7",
        "s5.tolist() == [7, 2] and df.a.tolist() == [1, 2]",
    ),
    _frame(
        "two frames with one index",
        "df = pd.DataFrame({'a': [1]}, index=['k'])\nd2 = pd.DataFrame({'b': [2]}, index=df.index)",
        "df['c'] = d2.b",
        "df.c.tolist() == [2] and d2.b.tolist() == [2]",
    ),
    Case(
        id="W5 an index",
        here="import pandas as pd\ni1 = pd.Index([1, 2], name='n')",
        there="i2 = i1.append(pd.Index([3]))",
        after="i1.tolist() == [1, 2] and i2.tolist() == [1, 2, 3]",
    ),
    Case(
        id="W5 groups of a frame",
        here="import pandas as pd\ndf = pd.DataFrame({'a': [1, 1, 2], 'b': [1, 2, 3]})\ng = df.groupby('a')",
        there="r = g.b.sum()",
        after="r.tolist() == [3, 3]",
    ),
    Case(
        id="W5 a frame assigned to itself",
        here="import pandas as pd\ndf = pd.DataFrame({'a': [1, None]})\nold = df",
        there="df = df.dropna()",
        after="len(df) == 1 and len(old) == 2",
    ),
    Case(
        id="W5 an array in a frame",
        here="import numpy as np, pandas as pd\na = np.zeros(3)\ndf = pd.DataFrame({'a': a}, copy=True)",
        there="a[0] = 1",
        after="a[0] == 1 and df.a[0] == 0",
    ),
    Case(
        id="W5 polars",
        here="import polars as pl\np1 = pl.DataFrame({'a': [1, 2]})\np2 = p1",
        there="p1 = p1.with_columns(b=pl.col('a') * 2)",
        after="p1['b'].to_list() == [2, 4] and p2.columns == ['a']",
    ),
    Case(
        id="W5 polars in place",
        here="import polars as pl\np1 = pl.DataFrame({'a': [1, 2]})",
        there="p1.insert_column(0, pl.Series('z', [0, 0]))",
        after="p1.columns == ['z', 'a']",
    ),
]

CASES = [*ARRAYS, *FRAMES]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


_NEEDS = ("sklearn", "networkx", "pydantic", "scipy", "polars")  # installing one for the container takes seconds
_QUICK = [case for case in CASES if not any(package in case.here for package in _NEEDS)]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.id, marks=() if case in _QUICK else pytest.mark.slow) for case in CASES],
)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
