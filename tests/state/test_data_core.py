"""Data: arrays and frames arrive as what they are, and what a cell writes into them is written into them here."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = pytest.mark.timeout(120)

_NP = "import numpy as np\n"
_PD = "import pandas as pd\n"

ARRAYS = [
    Case(
        id="D7 Fortran order",
        here=_NP + "F = np.asfortranarray(np.arange(12000.).reshape(300, 40))\nwas = id(F)",
        there="G = F * 1\nthere = F.flags.f_contiguous, F.flags.c_contiguous\nF[0, 1] = 9",
        after="there == (True, False) and id(F) == was and F.flags.f_contiguous and F[0, 1] == 9 and G[0, 1] == 1",
    ),
    Case(
        id="D7 a reversed view",
        here=_NP + "base = np.arange(100_000)\nback = base[::-1]",
        there="back[0] = -5",
        after="base[-1] == -5 and back.base is base",
    ),
    Case(
        id="D7 axes in another order",
        here=_NP + "cube = np.arange(24_000).reshape(20, 30, 40).copy().transpose(1, 0, 2)\nstrides = cube.strides",
        there="there = cube.strides\ncube[1, 2, 3] = -1",
        after="there == strides == cube.strides and cube[1, 2, 3] == -1",
    ),
    Case(
        id="D7 a stride of zero",
        here=_NP + "wide = np.broadcast_to(np.arange(1000.), (5000, 1000))",
        there="there = wide.strides, wide.flags.writeable, float(wide[4999].sum())",
        after="there == ((0, 8), False, 499500.0)",
    ),
    Case(
        id="D7 objects, one of them twice",
        here=_NP + "shared = [1]\nO = np.array([shared, None, shared, 'x'], dtype=object)",
        there="O[0].append(2)",
        after="shared == [1, 2] and O[2] is shared and O[1] is None",
    ),
    Case(
        id="D7 structured, with a view of one field",
        here=_NP + "S = np.zeros(5000, dtype=[('a', 'i4'), ('b', 'f8', (3,))])\nfield = S['a']",
        there="S['b'][7, 1] = 2.5\nfield[3] = 9",
        after="S.dtype.names == ('a', 'b') and S['b'][7, 1] == 2.5 and S['a'][3] == 9 and field.base is not None",
    ),
    Case(
        id="D7 structured, aligned, with objects and dates",
        here=_NP + "T = np.zeros(3, dtype=np.dtype([('n', 'i1'), ('when', 'M8[s]'), ('what', 'O')], align=True))\n"
        "layout = T.dtype",
        there="T[1] = (4, '2026-01-01', ['x'])",
        after="T.dtype == layout and T.dtype.isalignedstruct and T['what'][1] == ['x']"
        " and T['n'].tolist() == [0, 4, 0]",
    ),
    Case(
        id="D7 masked, in place",
        here=_NP
        + "values = np.arange(5.)\nM = np.ma.masked_array(values, mask=[0, 1, 0, 0, 0], fill_value=-1)\nwas = id(M)",
        there="M[2] = np.ma.masked\nM[0] = 7",
        after="id(M) == was and M.mask.tolist() == [False, True, True, False, False] and values[0] == 7"
        " and M.fill_value == -1 and M.filled().tolist() == [7, -1, -1, 3, 4]",
    ),
    Case(
        id="D7 a new masked array",
        here=_NP,
        there="N = np.ma.masked_greater(np.arange(50_000.), 49_990)\nno_mask = np.ma.array([1, 2])",
        after="N.count() == 49_991 and type(N) is np.ma.MaskedArray and no_mask.mask is np.ma.nomask",
    ),
    Case(
        id="D7 matrix",
        here=_NP + "mat = np.eye(2).view(np.matrix)\nwas = id(mat)",
        there="mat[0, 1] = 3\nproduct = mat * mat",
        after="id(mat) == was and mat[0, 1] == 3 and type(product) is np.matrix and product[0, 1] == 6",
    ),
    Case(
        id="D7 record array",
        here=_NP + "rec = np.rec.array([(1, 2.), (3, 4.)], names='a,b')\nwas = id(rec)",
        there="rec.a[1] = 7\nrow = rec[0].b",
        after="id(rec) == was and rec.a[1] == 7 and row == 2 and type(rec) is np.recarray",
    ),
    Case(
        id="D7 a subclass of the notebook's",
        here=_NP + "class Signal(np.ndarray):\n  rate = None\nsignal = np.arange(6.).view(Signal)\n"
        "signal.rate = [44]\nwas = id(signal)",
        there="signal[0] = 5\nsignal.rate.append(48)",
        after="id(signal) == was and signal[0] == 5 and signal.rate == [44, 48] and type(signal) is Signal",
    ),
    Case(
        id="D7 memmap: the file here takes what the cell wrote",
        here=_NP + "mm = np.memmap('there.dat', dtype='f8', mode='w+', shape=(1000,))\nwas = id(mm)",
        there="kind = type(mm).__name__\nmm[3] = 2.5\nmm.flush()",
        after="mm.flush()\nassert id(mm) == was and kind == 'memmap' and np.fromfile('there.dat')[3] == 2.5",
    ),
    Case(
        id="D7 memmap, read-only, and still the same when something beside it changed",
        here=_NP + "np.arange(9.).tofile('fixed.dat')\nro = np.memmap('fixed.dat', dtype='f8', mode='r')\n"
        "both = [ro, 0]\nwas = id(ro)",
        there="both[1] = float(ro.sum())",
        after="both[1] == 36 and id(both[0]) == id(ro) == was and ro.filename is not None",
    ),
    Case(
        id="D7 dates and spans of time",
        here=_NP + "days = np.arange('2000-01-01', '2030-01-01', dtype='M8[D]')\nwas = id(days)",
        there="days[0] = 'NaT'\nspans = np.diff(days)",
        after="id(days) == was and np.isnat(days[0]) and spans.dtype == 'm8[D]' and spans[5] == np.timedelta64(1, 'D')",
    ),
    Case(
        id="D7 the other byte order",
        here=_NP + "big = np.arange(10_000, dtype='>i4')\nwas = id(big)",
        there="order = big.dtype.byteorder\nbig[1] = 258",
        after="order == '>' and id(big) == was and big.dtype.byteorder == '>'"
        " and big.tobytes()[4:8] == b'\\0\\0\\1\\2'",
    ),
    Case(
        id="D7 no dimension",
        here=_NP + "zero = np.array(3.)\nwas = id(zero)\nscalar = np.float32(1.5)",
        there="zero[...] = 4\nkind = type(scalar).__name__",
        after="id(zero) == was and zero.shape == () and zero == 4 and kind == 'float32'",
    ),
    Case(
        id="D7 nothing in it",
        here=_NP + "empty = np.empty((0, 3), dtype='f4')",
        there="made = np.empty((2, 0))\nshape = empty.shape, empty.dtype.char",
        after="shape == ((0, 3), 'f') and made.shape == (2, 0)",
    ),
    Case(
        id="D7 read-only stays read-only, and the same object",
        here=_NP + "ro = np.arange(3)\nro.flags.writeable = False\nheld = {'ro': ro, 'n': 0}\nwas = id(ro)",
        there="try:\n  ro[0] = 1\nexcept ValueError:\n  held['n'] = 1",
        after="held['n'] == 1 and id(held['ro']) == id(ro) == was and not ro.flags.writeable",
    ),
    Case(
        id="D7 numbers without a name in C",
        here=_NP + "half = np.ones(40_000, 'f2')\nlong = np.ones(5, np.longdouble) / 3\ncx = np.ones(3, 'c8') * 1j",
        there="half[0] = 0.5\nsame = (long * 3 == 1).all()\ncx += 1",
        after="half[0] == 0.5 and half.dtype == 'f2' and same and cx[0] == 1 + 1j and long.dtype == np.longdouble",
    ),
    Case(
        id="D7 text of any length",
        here=_NP
        + "T = np.array(['a', 'é' * 30, None], dtype=np.dtypes.StringDType(na_object=None))\nU = np.array(['ab', 'c'])",
        there="T[0] = 'b'\nU[1] = 'dd'",
        after="T.tolist() == ['b', 'é' * 30, None] and U.tolist() == ['ab', 'dd'] and T.dtype.na_object is None",
    ),
    Case(
        id="D7 many small arrays, one of them twice",
        here=_NP + "parts = [np.full(3, i) for i in range(500)]\nparts.append(parts[7])\nwas = id(parts[9])",
        there="parts[7][0] = -1\nparts[9] += 1",
        after="parts[500] is parts[7] and parts[7][0] == -1 and id(parts[9]) == was and parts[9].tolist() == [10] * 3"
        " and parts[8].base is None",
    ),
]

FRAMES = [
    Case(
        id="D8 frame, in place",
        here=_PD + "df = pd.DataFrame({'a': [1, 2], 's': ['x', None]})\nwas = id(df)",
        there="df['b'] = df.a * 2\ndf.loc[0, 's'] = 'y'",
        after="id(df) == was and df.b.tolist() == [2, 4] and df.s[0] == 'y' and df.s.isna()[1]",
    ),
    Case(
        id="D8 categories, time zones, nullable, periods, intervals, sparse",
        here=_PD
        + """df = pd.DataFrame({
    'c': pd.Categorical(['lo', 'hi', 'lo'], categories=['lo', 'hi'], ordered=True),
    't': pd.date_range('2026-03-28', periods=3, tz='Europe/Berlin'),
    'i': pd.array([1, None, 3], dtype='Int64'),
    'b': pd.array([True, None, False], dtype='boolean'),
    'p': pd.period_range('2026-01', periods=3, freq='M'),
    'v': pd.interval_range(0, 3),
    'z': pd.arrays.SparseArray([0, 0, 5]),
    'd': pd.to_timedelta([1, None, 3], unit='s'),
})
kinds = df.dtypes.astype(str).tolist()""",
        there="there = df.dtypes.astype(str).tolist()\ndf['c'] = df['c'].cat.add_categories('top')\n"
        "high = (df.c > 'lo').tolist()"
        "\nnext_day = df.t[0] + pd.Timedelta(days=1)",
        after="kinds == there and high == [False, True, False] and list(df.c.cat.categories) == ['lo', 'hi', 'top']"
        " and df.t.dt.tz.key == 'Europe/Berlin' and df.i.isna().tolist() == [False, True, False]"
        " and df.p.dt.month[1] == 2",
    ),
    Case(
        id="D8 levels, names said twice, notes, nothing in it",
        here=_PD
        + """multi = pd.DataFrame({('a', 1): [1., 2.], ('a', 2): [3., 4.]},
                     index=pd.MultiIndex.from_tuples([('x', 1), ('y', 2)], names=['k', 'n']))
twice = pd.DataFrame([[1, 2]], columns=['a', 'a'])
noted = pd.Series([1, 2], name='s')
noted.attrs['unit'] = 'm'
empty = pd.DataFrame({'a': pd.Series(dtype='int8')})""",
        there="multi.loc[('y', 2), ('a', 1)] = 9\ntwice.iloc[0, 1] = 5\nnoted.attrs['by'] = 'cell'\n"
        "shape = empty.shape, str(empty.a.dtype)",
        after="multi.loc[('y', 2), ('a', 1)] == 9 and multi.index.names == ['k', 'n']"
        " and twice.values.tolist() == [[1, 5]]"
        " and noted.attrs == {'unit': 'm', 'by': 'cell'} and shape == ((0, 1), 'int8')",
    ),
    Case(
        id="D8 a grouping of a frame",
        here=_PD + "df = pd.DataFrame({'k': list('aab'), 'v': [1, 2, 3]})\ngrouped = df.groupby('k')",
        there="sums = grouped.v.sum()\nagain = df.groupby('k')",
        after="sums.to_dict() == {'a': 3, 'b': 3} and grouped.obj is df and again.v.max().tolist() == [2, 3]",
    ),
    Case(
        id="D8 a column of lists",
        here=_PD + "inner = [1]\ndf = pd.DataFrame({'o': [inner, None]})",
        there="df.o[0].append(2)",
        after="df.o[0] == [1, 2]",
    ),
    Case(
        id="D8 long columns of strings",
        here=_PD
        + "words = pd.DataFrame({'w': [f'row {i}' for i in range(3000)]}, dtype=object)\nwords.loc[5, 'w'] = None",
        there="words.loc[0, 'w'] = 'first'\nlengths = words.w.str.len()",
        after="words.w[0] == 'first' and words.w[2999] == 'row 2999' and words.w[5] is None and lengths[10] == 6",
    ),
]

CASES = ARRAYS + FRAMES


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
