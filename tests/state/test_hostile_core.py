"""Hostile values (U1-U9): what cannot travel is told by its path before anything is shipped, and the rest goes on."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

STAYS = "its kind never travels: the cell says so, and nothing is shipped"
NOT_NEEDED = "it stays here; the cell does not need it"

# Rows of what travels, or stays without being needed: as a local cell would have it.
CASES = [
    Case(
        id="U1 locks events queues",
        here="import threading, queue\nlock, q = threading.Lock(), queue.Queue()\nq.put(1)\nready = threading.Event()",
        there="with lock:\n    q.put(2)\nready.set()\nn = q.qsize()",
        after="n == 2 and q.qsize() == 2 and ready.is_set() and not lock.locked()",
    ),
    Case(
        id="U1 object with a lock keeps it",
        here="import threading\nclass C:\n    def __init__(self):\n        self.lock, self.n = threading.RLock(), 0\n"
        "c = C(); mine = c.lock",
        there="with c.lock:\n    c.n += 1",
        after="c.n == 1 and c.lock is mine",
    ),
    Case(
        id="U1 generator not needed",
        here="gen = (i for i in range(3))\nclass Box: pass\nbox = Box(); box.n = 1",
        there="box.n += 1",
        after="box.n == 2 and list(gen) == [0, 1, 2]",
    ),
    Case(
        id="U1 module and code",
        here="import json\ncode = compile('1 + 1', 'x', 'eval')",
        there="r = eval(code)",
        after="r == 2",
    ),
    Case(
        id="U2 stdout by name",
        here="import sys\nclass W:\n    out = sys.stdout\nw = W()",
        there="ok = w.out is sys.stdout",
        after="ok and w.out is sys.stdout",
    ),
    Case(
        id="U2 logger with handlers",
        here="import logging, sys\nlog = logging.getLogger('u2')\n"
        "log.handlers[:] = [logging.StreamHandler(sys.stdout)]\n"
        "log.setLevel(logging.INFO)\nlog.propagate = False\nkept = log.handlers[0]",
        there="log.info('told')\nn, level = len(log.handlers), log.level",
        after="n == 1 and level == 20 and log.handlers == [kept]",
    ),
    Case(
        id="U2 StringIO keeps its position",
        here="import io\ns = io.StringIO('ab')\n_ = s.read(1)",
        there="r = s.read()",
        after="r == 'b' and s.read() == ''",
    ),
    Case(
        id="U5 reduce makes another object",
        here="class Odd:\n    def __reduce__(self):\n        return (list, ())\nodd = Odd()",
        there="r = type(odd).__name__",
        after="r == 'list' and type(odd).__name__ == 'Odd'",
        here_differs="its own __reduce__ says that a copy of it is a list",
    ),
    Case(
        id="U7 recursive structures",
        here="l = [1]; l.append(l); d = {}; d['d'] = d\nclass N: pass\nn = N(); n.me = n; N.one = n",
        there="l.append(2); d['x'] = 1; n.k = 3",
        after="l[1] is l and l[2] == 2 and d['d'] is d and d['x'] == 1 and n.me is n and N.one is n and n.k == 3",
    ),
    Case(
        id="U7 linked list of 100,000",
        here="class Node:\n    def __init__(self, n): self.n = n\nhead = None\n"
        "for _ in range(100_000): head = Node(head)",
        there="count, at = 0, head\nwhile at is not None:\n    count, at = count + 1, at.n",
        after="count == 100_000",
    ),
    Case(
        id="U8 lambda in a class",
        here="class A:\n    f = lambda self, x: x + 1\na = A()",
        there="r = a.f(1)",
        after="r == 2",
    ),
    Case(
        id="U9 figure travels",
        here="import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nfig, ax = plt.subplots()",
        there="_ = ax.plot([1, 2])\nn = len(fig.axes[0].lines)",
        after="n == 1 and len(fig.axes[0].lines) == 1",
    ),
]

# Names the cell surely needs: what makes it, the name, and what the cell's one line says.
REFUSED = [
    ("U1 generator", "x = (i for i in range(3))", "x is a generator (a list made of it travels)"),
    (
        "U1 coroutine in a dict",
        "async def f(): pass\nx = {'c': f()}",
        "x['c'] is a coroutine (await it; its result travels)",
    ),
    ("U1 frame", "import sys\nx = [sys._getframe()]", "x[0] is a frame"),
    ("U1 thread", "import threading\nx = threading.Thread()", "x is a thread (start it where it is used)"),
    (
        "U1 held lock",
        "import threading\nx = {'l': threading.Lock()}\n_ = x['l'].acquire()",
        "x['l'] is a lock that is held",
    ),
    ("U1 socket", "import socket\nx = socket.socket()", "x is a socket (connect where it is used)"),
    ("U1 process", "import subprocess\nx = subprocess.Popen(['true'])\n_ = x.wait()", "x is a running process"),
    ("U1 memoryview", "x = memoryview(b'a')", "x is a memoryview (bytes made of it travel)"),
    ("U1 weak reference", "class W: pass\nw = W()\nimport weakref\nx = [weakref.ref(w)]", "x[0] is a weak reference"),
    (
        "U2 open file by its path",
        "class C: pass\ncfg, cfg.logger, h = C(), C(), C()\nh.stream = open('u2.log', 'a')\n"
        "cfg.logger.handlers = [h]\nx = cfg",
        "x.logger.handlers[0].stream is an open file (its path travels: open it where it is used)",
    ),
    (
        "U2 context variable",
        "import contextvars\nx = contextvars.ContextVar('v')",
        "x is a context variable (its value travels)",
    ),
    ("U3 database", "import sqlite3\nx = {'db': sqlite3.connect(':memory:')}", "x['db'] is a database connection"),
    ("U4 rows", "import csv\nx = csv.reader(['a,b'])", "x is a reader of rows (a list made of it travels)"),
    (
        "U5 reduce returns nonsense",
        "class L:\n    def __reduce__(self): return (1, 2)\nx = [L()]",
        "x[0] cannot be pickled: ",
    ),
    (
        "U5 reduce raises",
        "class L:\n    def __reduce__(self): raise OSError('away')\nx = L()",
        "x cannot be pickled: away",
    ),
    ("U5 reduce exits", "class L:\n    def __reduce__(self): raise SystemExit(3)\nx = L()", "x cannot be pickled: 3"),
    (
        "U7 reduce without end",
        "class L:\n    def __reduce__(self): return (L, (L(),))\nx = L()",
        "x is nested too deeply",
    ),
    ("U8 C pointer", "import ctypes\nx = [ctypes.pointer(ctypes.c_int())]", "x[0] is a C pointer"),
    ("U8 class attribute", "class K:\n    g = (i for i in [])\nx = K()", "x.g is a generator"),
    (
        "U8 closure",
        "def m():\n    g = (i for i in [])\n    return lambda: g\nx = m()",
        "x (its closure's g) is a generator",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


@pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")  # rows leave files and sockets open
def test_a_needed_value_that_cannot_travel_is_told_by_its_path(shell: InteractiveShell) -> None:
    """One line names the part and what to do; the cell did not run, and the session goes on."""
    shell.run_cell("%%gpu A100\nran = 0").raise_error()
    failed = {}
    for row, make, says in REFUSED:
        shell.run_cell(make).raise_error()
        error = shell.run_cell("%%gpu A100\nran += 1\ny = x").error_in_exec
        said = str(error)
        if type(error).__name__ != "CannotTravel" or says not in said or "Traceback" in said or "\n" in said:
            failed[row] = f"{type(error).__name__}: {said}"
        shell.run_cell("del x")
    shell.run_cell("h.stream.close()").raise_error()
    shell.run_cell("%%gpu A100\nran += 10").raise_error()
    assert (failed, shell.user_ns["ran"]) == ({}, 10)


def test_a_value_nobody_needs_is_left_out(shell: InteractiveShell) -> None:
    """A name behind a branch that is not taken, or behind `globals()`, stays here; touching it says why."""
    shell.run_cell("gen = (i for i in [])\nflag = False").raise_error()
    shell.run_cell("%%gpu A100\nr = 1 if 'flag' in globals() else 0").raise_error()
    result = shell.run_cell("%%gpu A100\nr = eval('ge' + 'n')").error_in_exec
    assert shell.user_ns["r"] == 1
    assert "gen is a generator" in str(result)
