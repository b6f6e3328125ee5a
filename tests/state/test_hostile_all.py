"""Hostile values (U1-U9), the whole list: what travels does so as in a local cell, what does not says why."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

CASES = [
    Case(
        id="U1 condition semaphore barrier",
        here="import threading as th\ncond, sem, bar = th.Condition(), th.Semaphore(2), th.Barrier(1)",
        there="with cond, sem:\n    cond.notify_all()\n    free = sem._value\n_ = bar.wait()",
        after="free == 1 and sem._value == 2 and sem.acquire()",
    ),
    Case(
        id="U1 priority queue",
        here="import queue\npq = queue.PriorityQueue()\npq.put(2); pq.put(1)",
        there="first = pq.get()",
        after="first == 1 and pq.qsize() == 1",
    ),
    Case(
        id="U1 asyncio queue and event",
        here="import asyncio\naq, ev = asyncio.Queue(), asyncio.Event()\naq.put_nowait(1)",
        there="got = await aq.get()\nev.set()",
        after="got == 1 and aq.empty() and ev.is_set()",
    ),
    Case(
        id="U1 a held lock nobody needs",
        here="import threading\nheld = threading.Lock()\n_ = held.acquire()",
        there="r = 1",
        after="r == 1 and held.locked()",
    ),
    Case(
        id="U1 bound method of an object with a lock",
        here="import threading\nclass Cache:\n    def __init__(self): self.lock, self.d = threading.Lock(), {}\n"
        "    def put(self, k):\n        with self.lock: self.d[k] = 1\ncache = Cache(); put = cache.put",
        there="put('a')",
        after="cache.d == {'a': 1} and put.__self__ is cache",
    ),
    Case(
        id="U2 root logger",
        here="import logging, sys\nroot = logging.root.handlers\nroot[:] = [logging.StreamHandler(sys.stdout)]",
        there="logging.getLogger('u2.any').warning('said')\nn = len(logging.root.handlers)",
        after="n == 1 and logging.root.handlers is root and len(root) == 1",
    ),
    Case(
        id="U2 logger with a formatter",
        here="import logging, sys\nlog2 = logging.getLogger('u2.f'); h2 = logging.StreamHandler(sys.stdout)\n"
        "h2.setFormatter(logging.Formatter('<%(message)s>')); log2.handlers[:] = [h2]; log2.propagate = False",
        there="fmt = log2.handlers[0].formatter._fmt",
        after="fmt == '<%(message)s>'",
    ),
    Case(
        id="U2 print to stderr in a partial",
        here="import functools, sys\nwarn = functools.partial(print, file=sys.stderr)",
        there="warn('x')",
        after="warn.keywords['file'] is sys.stderr",
    ),
    Case(
        id="U3 requests session",
        here="import requests\ns = requests.Session(); s.headers['a'] = 'b'",
        there="r = s.headers['a']",
        after="r == 'b'",
    ),
    Case(
        id="U4 iterators advance",
        here="it = iter([1, 2, 3]); pairs = enumerate('ab'); z = zip([1], [2])",
        there="a, b, c = next(it), next(pairs), next(z)",
        after="(a, b, c, list(it), list(pairs), list(z)) == (1, (0, 'a'), (1, 2), [2, 3], [(1, 'b')], [])",
    ),
    Case(
        id="U8 C integers and structures",
        here="import ctypes\nc = ctypes.c_int(3)",
        there="c.value += 1",
        after="c.value == 4",
    ),
    Case(
        id="U8 estimator",
        here="from sklearn.linear_model import LinearRegression\nimport numpy as np\n"
        "m = LinearRegression()\nX = np.arange(6.0).reshape(3, 2)",
        there="_ = m.fit(X, [1, 2, 3])",
        after="round(float(m.predict(X)[0])) == 1",
    ),
    Case(
        id="U9 figure and its axes are one",
        here="import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\n"
        "fig, axes = plt.subplots(1, 2)",
        there="_ = axes[0].plot([1, 2]); fig.suptitle('t')",
        after="len(fig.axes[0].lines) == 1 and axes[0] is fig.axes[0] and fig._suptitle.get_text() == 't'",
    ),
    Case(
        id="U9 image that is opened lazily",
        here="from PIL import Image\nImage.new('L', (4, 4), 7).save('u9.png')\nim = Image.open('u9.png')",
        there="p = im.getpixel((0, 0))",
        after="p == 7 and im.getpixel((0, 0)) == 7",
    ),
    Case(
        id="U9 lazy frame",
        here="import polars as pl\nlf = pl.DataFrame({'a': [1, 2]}).lazy().filter(pl.col('a') > 1)",
        there="n = lf.collect().height",
        after="n == 1 and lf.collect().height == 1",
    ),
]

REFUSED = [
    ("U1 async generator", "async def g():\n    yield 1\nx = g()", "x is an async generator"),
    ("U1 traceback", "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    x = e.__traceback__", "x is a traceback"),
    ("U1 timer", "import threading\nx = [threading.Timer(1, print)]", "x[0] is a thread"),
    ("U1 SimpleQueue", "import queue\nx = queue.SimpleQueue()", "x is a SimpleQueue (a queue.Queue travels)"),
    ("U1 mmap", "import mmap\nx = mmap.mmap(-1, 10)", "x is a memory map"),
    ("U1 pool", "import concurrent.futures as cf\nx = {'p': cf.ThreadPoolExecutor(1)}", "x['p'] is a pool of workers"),
    ("U1 future", "import concurrent.futures as cf\nx = cf.Future()", "x is a future (its result travels)"),
    ("U1 event loop", "import asyncio\nx = asyncio.new_event_loop()\nx.close()", "x is an event loop"),
    ("U1 local", "import threading\nx = threading.local()", "x is thread-local data"),
    ("U1 process queue", "import multiprocessing\nx = [multiprocessing.Queue()]", "x[0] is a queue between processes"),
    ("U1 deque", "import collections\nx = collections.deque([(i for i in [])])", "x[0] is a generator"),
    ("U2 temporary file", "import tempfile\nx = tempfile.NamedTemporaryFile()", "x is a temporary file"),
    ("U2 temporary directory", "import tempfile\nx = tempfile.TemporaryDirectory()", "x is a temporary directory"),
    (
        "U3 cursor",
        "import sqlite3\ndb = sqlite3.connect(':memory:')\nx = db.execute('select 1')",
        "x is a database cursor",
    ),
    (
        "U3 engine",
        "import sqlalchemy\nx = [sqlalchemy.create_engine('sqlite://')]",
        "x[0] is a database engine (its URL travels",
    ),
    ("U3 HTTP client", "import httpx\nx = {'c': httpx.Client()}", "x['c'] is an HTTP client"),
    ("U4 view of a dict", "x = {}.keys()", "x is a view of a dict's keys (a list made of it travels)"),
    ("U8 C library", "import ctypes\nx = ctypes.CDLL(None)", "x is a loaded C library"),
    ("U8 partial", "import functools\nx = functools.partial(print, (i for i in []))", "x.args[0] is a generator"),
    (
        "U5 str fails too",
        "class E(Exception):\n    def __str__(self): raise OSError\n"
        "class L:\n    def __reduce__(self): raise E\nx = L()",
        "x cannot be pickled: E",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
def test_what_cannot_travel_is_told_by_its_path(shell: InteractiveShell, row: tuple[str, str, str]) -> None:
    """One line names the part and what to do; nothing was sent."""
    _, make, says = row
    shell.run_cell(make).raise_error()
    error = shell.run_cell("%%gpu A100\ny = x").error_in_exec
    shell.run_cell("del x\nimport gc\n_ = gc.collect()")
    assert type(error).__name__ == "CannotTravel"
    assert says in str(error)


@pytest.mark.parametrize("row", REFUSED[:4], ids=lambda row: row[0])
def test_made_there_it_stays_and_goes_on_living_there(shell: InteractiveShell, row: tuple[str, str, str]) -> None:
    """The name is a handle that says what its value is; the next cell has it."""
    shell.run_cell(f"%%gpu A100\n{row[1]}\nz = 1").raise_error()
    assert row[2].split(" (")[0] in shell.user_ns["x"].info.reason
    assert shell.user_ns["z"] == 1
    shell.run_cell("%%gpu A100\nw = type(x).__name__\ndel x").raise_error()
    assert isinstance(shell.user_ns["w"], str)


def test_a_loggers_file_is_told_where_it_does_not_follow(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """U2: once for each handler, in both directions; the file itself comes home."""
    shell.run_cell("import logging\nours = logging.getLogger('u2.file')\nours.propagate = False").raise_error()
    cell = "ours.addHandler(logging.FileHandler('u2.log'))\nours.error('said')"
    shell.run_cell(f"%%gpu A100\n{cell}").raise_error()
    assert "ours: its FileHandler (u2.log) stayed remote" in capsys.readouterr().out
    shell.run_cell("%%gpu A100\nours.error('again')").raise_error()
    assert "FileHandler" not in capsys.readouterr().out
    shell.run_cell("assert open('u2.log').read() == 'said\\nagain\\n'").raise_error()
    near = "near = logging.getLogger('u2.near')\nnear.addHandler(logging.FileHandler('near.log'))"
    shell.run_cell(near).raise_error()
    shell.run_cell("%%gpu A100\nnear.error('said')").raise_error()
    assert "near: its FileHandler (near.log) stays here" in capsys.readouterr().out
    shell.run_cell("for each in near.handlers: each.close()\nnear.handlers.clear()").raise_error()
