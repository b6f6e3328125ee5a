"""Data of every other kind and library: frames, tables, matrices and images, as they are and in place."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_NP = "import numpy as np\n"
_PD = "import pandas as pd\n"
_PA = "import pyarrow as pa\n"
_PL = "import polars as pl\n"
_SP = "import numpy as np\nimport scipy.sparse as sp\n"
_PIL = "from PIL import Image\n"

ARRAYS = [
    Case(
        id="D7 views of one another, none of them the base",
        here=_NP + "def two():\n  base = np.zeros(100_000)\n  return base[:60_000], base[40_000:]\nleft, right = two()",
        there="left[50_000] = 3\nmiddle = right[5_000:15_000]",
        after="right[10_000] == 3 and middle[5_000] == 3 and middle.base is not None",
    ),
    Case(
        id="D7 masked, with a mask that is fixed, and one that is a name",
        here=_NP
        + "mask = np.array([False, True, False])\nM = np.ma.array([1, 2, 3], mask=mask, copy=False, hard_mask=True)",
        there="M[1] = 9\nM[2] = 8",
        after="M.data.tolist() == [1, 2, 8] and M.hardmask and M.mask.tolist() == [False, True, False]",
    ),
    Case(
        id="D7 masked, with fields",
        here=_NP + "M = np.ma.array([(1, 2.)], mask=[(0, 1)], dtype=[('a', 'i4'), ('b', 'f8')])",
        there="M['a'] = 5",
        after="M['a'][0] == 5 and M['b'].mask[0] and M.dtype.names == ('a', 'b')",
    ),
    Case(
        id="D7 nothing: np.ma.masked and np.ma.nomask are themselves",
        here=_NP + "none = np.ma.masked\nopen_mask = np.ma.nomask",
        there="same = none is np.ma.masked, open_mask is np.ma.nomask",
        after="same == (True, True) and none is np.ma.masked",
    ),
    Case(
        id="D7 memmap, mapped copy-on-write",
        here=_NP + "np.zeros(10).tofile('cow.dat')\ncow = np.memmap('cow.dat', dtype='f8', mode='c')",
        there="cow[0] = 1",
        after="cow[0] == 1 and np.fromfile('cow.dat')[0] == 0",
    ),
    Case(
        id="D7 memmap of a file that the cell wrote",
        here=_NP,
        there="made = np.memmap('made.dat', dtype='i4', mode='w+', shape=(4,))\nmade[:] = 7\nmade.flush()",
        after="made.tolist() == [7] * 4 and np.fromfile('made.dat', 'i4').tolist() == [7] * 4",
    ),
    Case(
        id="D7 a slice of a memmap",
        here=_NP + "whole = np.memmap('whole.dat', dtype='f8', mode='w+', shape=(100, 50))\npart = whole[10:20]",
        there="part[0, 0] = 4",
        after="whole[10, 0] == 4 and part.base is whole",
    ),
    Case(
        id="D7 objects of every shape and order",
        here=_NP + "one = [0]\nnone_d = np.empty((), object)\nnone_d[()] = one\n"
        "fort = np.empty((2, 3), object, order='F')\nfort[1, 2] = one",
        there="none_d.item().append(1)\nfort[0, 0] = fort[1, 2]",
        after="one == [0, 1] and none_d.item() is one and fort[1, 2] is one and fort[0, 0] is one",
    ),
    Case(
        id="D7 an array that holds itself",
        here=_NP + "loop = np.empty(2, object)\nloop[0] = loop",
        there="loop[1] = 'seen'",
        after="loop[0] is loop and loop[1] == 'seen'",
    ),
    Case(
        id="D7 structured types with titles, offsets and gaps",
        here=_NP + "gaps = np.dtype({'names': ['x', 'y'], 'formats': ['u1', '<f4'], 'offsets': [1, 8], "
        "'itemsize': 16})\nG = np.ones(3, gaps)",
        there="G['y'][2] = 5",
        after="G.dtype == gaps and G.dtype.itemsize == 16 and G['y'].tolist() == [1, 1, 5]",
    ),
    Case(
        id="D7 dates in a large field",
        here=_NP + "log = np.zeros(10_000, dtype=[('at', 'M8[ns]'), ('n', '>u2')])",
        there="log['at'][3] = '2026-11-22'\nlog['n'][3] = 1",
        after="log['at'][3] == np.datetime64('2026-11-22') and log['n'][3] == 1 and log.dtype['n'].byteorder == '>'",
    ),
    Case(
        id="D7 scalars of every kind",
        here=_NP + "scalars = [np.bool_(True), np.int8(-1), np.datetime64('NaT'), np.str_('é'), np.void(b'ab'), "
        "np.complex64(1j), np.longdouble(1) / 3]",
        there="kinds = [type(s).__name__ for s in scalars]",
        after="kinds == [type(s).__name__ for s in scalars] and scalars[4].tobytes() == b'ab'",
    ),
    Case(
        id="D7 functions over arrays",
        here=_NP + "poly = np.poly1d([1, 2])\nvec = np.vectorize(lambda x: x + 1)\nuf = np.add",
        there="r = poly(3), vec([1, 2]).tolist(), uf is np.add\nline = np.polynomial.Polynomial([1, 1])",
        after="r == (5, [2, 3], True) and line(2) == 3",
    ),
    Case(
        id="D7 small arrays in objects, tuples and keys, of several types",
        here=_NP
        + """class Node:
  def __init__(self, n): self.w, self.b = np.full((2, n % 3), n, 'f4'), np.array(n, '>i2')
nodes = {i: (Node(i), np.zeros(i % 5, dtype='M8[D]')) for i in range(200)}
w9 = nodes[9][0].w
nodes[10][0].w = w9""",
        there="w9 += 1\nnodes[7][0].b[...] = 70\nthere = nodes[8][0].b.dtype.byteorder, nodes[8][0].w.shape",
        after="nodes[9][0].w is w9 and nodes[10][0].w is w9 and nodes[7][0].b == 70 and there == ('>', (2, 2))"
        " and nodes[9][1].dtype == 'M8[D]' and len(nodes[9][1]) == 4",
    ),
    Case(
        id="D7 Python's own arrays",
        here="import array\nnumbers = array.array('d', [1., 2.])\nraw = bytearray(b'abc')\nwas = id(raw)",
        there="numbers.append(3.)\nraw += b'd'",
        after="numbers.tolist() == [1, 2, 3] and raw == b'abcd' and id(raw) == was",
    ),
]

FRAMES = [
    Case(
        id="D8 a frame of a class of the notebook's, with more of its own",
        here=_PD
        + """class Trace(pd.DataFrame):
  _metadata = ['station']
  @property
  def _constructor(self): return Trace
trace = Trace({'v': [1., 2.]})
trace.station = 'A'
was = id(trace)""",
        there="trace['w'] = 3.\nthere = type(trace.head()).__name__, trace.station\nhead = trace.head(1)",
        after="id(trace) == was and there == ('Trace', 'A') and list(trace) == ['v', 'w'] and trace.station == 'A'"
        " and type(head) is Trace",
    ),
    Case(
        id="D8 columns in Arrow's memory",
        here=_PD + "df = pd.DataFrame({'a': [1, None], 's': ['x', None]}).convert_dtypes(dtype_backend='pyarrow')",
        there="kinds = [str(t) for t in df.dtypes]\ndf.loc[1, 'a'] = 5\nlower = df.s.str.upper()",
        after="kinds == [str(t) for t in df.dtypes] and df.a.tolist() == [1, 5] and lower[0] == 'X'",
    ),
    Case(
        id="D8 the type of text made there is the type it has here",
        here=_PD + "here_type = repr(pd.Series(['a']).dtype)",
        there="made = pd.Series(['b'])\nmade_type = repr(made.dtype)",
        after="made_type == here_type == repr(made.dtype)",
    ),
    Case(
        id="D8 flags, and an index of every kind",
        here=_PD
        + """df = pd.DataFrame({'a': [1]}).set_flags(allows_duplicate_labels=False)
indexes = [pd.RangeIndex(3), pd.date_range('2026', periods=2, freq='h', tz='UTC'), pd.CategoricalIndex(['a']),
           pd.timedelta_range(0, periods=2, freq='s'), pd.Index(['a', None], name='n'), pd.interval_range(0, 2)]""",
        there="there = df.flags.allows_duplicate_labels, [type(i).__name__ for i in indexes], indexes[1].freq.name",
        after="there == (False, [type(i).__name__ for i in indexes], 'h') and indexes[4].name == 'n'"
        " and all(a.equals(b) for a, b in zip(indexes, indexes))",
    ),
    Case(
        id="D8 windows, resamplers and styles over a frame",
        here=_PD
        + """df = pd.DataFrame({'v': range(4)}, index=pd.date_range('2026', periods=4, freq='D'))
rolled, monthly = df.rolling(2), df.resample('ME')""",
        there="sums = rolled.sum().v.tolist()[1:]\ntotal = int(monthly.v.sum().iloc[0])",
        after="sums == [1, 3, 5] and total == 6 and rolled.obj is df",
    ),
    Case(
        id="D8 a frame in an object, a dict and a closure",
        here=_PD
        + """df = pd.DataFrame({'a': [1, 2]})
class Box: pass
box = Box(); box.df = df
def see(df=df): return df
def make(frame):
  def inner(): return frame
  return inner
closed = make(df)""",
        there="box.df.loc[0, 'a'] = 9",
        after="df.a[0] == 9 and box.df is df and see() is df and closed() is df",
    ),
    Case(
        id="D8 a large frame of mixed columns, in place",
        here=_PD
        + _NP
        + """big = pd.DataFrame({'f': np.arange(200_000.), 'i': np.arange(200_000),
                    'c': pd.Categorical(['a', 'b'] * 100_000),
                    't': pd.date_range('2026', periods=200_000, freq='s')})
was = id(big)""",
        there="big.loc[5, 'f'] = -1\nbig['g'] = big.i * 2",
        after="id(big) == was and big.f[5] == -1 and big.g.iloc[-1] == 399_998"
        " and big.t[1] == pd.Timestamp('2026-01-01 00:00:01')",
    ),
]

TABLES = [
    Case(
        id="D8 Arrow: tables, chunks, dictionaries, nests",
        here=_PA
        + """table = pa.table({'a': pa.chunked_array([[1, 2], [3]]), 'd': pa.array(['x', 'y', 'x']).dictionary_encode(),
                  'n': [[1], [], None], 's': [{'k': 1}, None, {'k': 2}]}).replace_schema_metadata({'by': 'me'})
chunks = table['a']""",
        there="there = chunks.num_chunks, str(table.schema.field('d').type), table.schema.metadata[b'by']\n"
        "more = table.slice(1)",
        after="there == (2, 'dictionary<values=string, indices=int32, ordered=0>', b'me') and more.num_rows == 2"
        " and more['n'].to_pylist() == [[], None] and table['s'].to_pylist()[2] == {'k': 2}",
    ),
    Case(
        id="D8 Arrow: batches, schemas, scalars, decimals, zones",
        here=_PA
        + """from decimal import Decimal
batch = pa.record_batch({'d': pa.array([Decimal('1.10')]), 't': pa.array([0], pa.timestamp('us', 'Asia/Tokyo'))})
schema, scalar = batch.schema, batch['d'][0]""",
        there="there = schema.field('t').type.tz, scalar.as_py()",
        after="there == ('Asia/Tokyo', Decimal('1.10')) and batch.schema.equals(schema)",
    ),
    Case(
        id="D8 polars: frames, lists, enumerations, dates",
        here=_PL
        + """from datetime import date
df = pl.DataFrame({'a': [1, None], 's': ['x', None], 'l': [[1], []], 'd': [date(2026, 1, 1), None]})
df = df.with_columns(pl.Series('e', ['lo', 'hi'], dtype=pl.Enum(['lo', 'hi'])), pl.struct('a', 's').alias('st'))
column = df['a']""",
        there="kinds = df.dtypes\nout = df.with_columns(b=pl.col('a') * 2)\ncolumn[1] = 5",
        after="kinds == df.dtypes and out['b'].to_list() == [2, None] and column.to_list() == [1, 5]"
        " and out['e'].dtype.categories.to_list() == ['lo', 'hi']",
    ),
    Case(
        id="D8 polars: lazy frames and expressions",
        here=_PL + "lazy = pl.LazyFrame({'a': [1, 2, 3]})\ntwice = pl.col('a') * 2",
        there="r = lazy.select(twice).collect()\nplan = lazy.filter(pl.col('a') > 1)",
        after="r['a'].to_list() == [2, 4, 6] and plan.collect().height == 2",
    ),
    Case(
        id="D8 scipy: sparse matrices, in place and sharing their data",
        here=_SP + "S = sp.csr_matrix(np.eye(3))\nC = sp.coo_array(np.eye(2))\nL = sp.lil_matrix((3, 3))\n"
        "data = S.data\nwas = id(S)",
        there="S.data[0] = 7\nL[0, 1] = 2\nkind = type(C).__name__\nP = S @ S",
        after="id(S) == was and S[0, 0] == 7 and data[0] == 7 and L[0, 1] == 2 and kind == 'coo_array'"
        " and P[0, 0] == 49",
    ),
    Case(
        id="D8 images, in place and opened but not yet read",
        here=_PIL + "image = Image.new('RGB', (4, 3), 'red')\nwas = id(image)\nimage.save('red.png')\n"
        "lazy = Image.open('red.png')\npal = image.convert('P')",
        there="image.putpixel((1, 2), (0, 0, 255))\nthere = lazy.size, lazy.getpixel((0, 0)), pal.mode\n"
        "small = image.resize((2, 2))",
        after="id(image) == was and image.getpixel((1, 2)) == (0, 0, 255) and there == ((4, 3), (255, 0, 0), 'P')"
        " and small.size == (2, 2)",
    ),
]

CASES = ARRAYS + FRAMES + TABLES


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
