"""State in, what workers read that the cell did not: DataLoader's, processes that print and raise, late threads."""

# ruff: noqa: E501 - a row is read as one, with the lines of its cells in it
from __future__ import annotations

import time

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely
from tests.state.waking import remotely

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROCESSES = [
    Case(
        id="C11 a forked process prints and raises",
        here="import multiprocessing as mp\nword11 = 'ghost'\n"
        "def wk11b(n):\n    print('worker says', eval(n), flush=True)\n    raise KeyError(eval(n))",
        there="try:\n    with mp.get_context('fork').Pool(1) as pool:\n        pool.map(wk11b, ['word' + '11'])\n"
        "except KeyError as e:\n    error11 = e.args, '__cause__' in dir(e)\ndel pool",
        after="error11 == (('ghost',), True)",
    ),
    Case(
        id="C11 a forked process that raises by itself ends with 1",
        here="import multiprocessing as mp\nbase11 = 3\ndef wk11r(): return 1 / (base11 - 3)",
        there="p = mp.get_context('fork').Process(target=wk11r)\np.start(); p.join(60); code11 = p.exitcode\ndel p",
        after="code11 == 1",
    ),
    Case(
        id="C11 os.fork and a name nobody mentioned",
        here="import os\nhidden11 = [4, 5]",
        there="r_, w_ = os.pipe()\npid_ = os.fork()\nif pid_ == 0:\n"
        "    os.write(w_, str(sum(eval('hid' + 'den11'))).encode()); os._exit(0)\n"
        "os.waitpid(pid_, 0); got11 = os.read(r_, 100); os.close(r_); os.close(w_)",
        after="got11 == b'9'",
    ),
    Case(
        id="C11 an array above the inline limit in a forked process",
        here="import multiprocessing as mp\nimport numpy as np\nlarge11 = np.arange(1_000_000)\ndef wk11l(n): return int(eval(n).sum())",
        there="with mp.get_context('fork').Pool(2) as pool:\n    sums11 = pool.map(wk11l, ['lar' + 'ge11'] * 2)\ndel pool",
        after="sums11 == [499_999_500_000] * 2",
    ),
    Case(
        id="C11 a module of the notebook's folder in a forked process",
        here="from pathlib import Path\nimport multiprocessing as mp\nn = Path('mod11w.py').write_text('def three(): return 3\\n')\n"
        "def wk11m(_):\n    import importlib\n    return importlib.import_module('mod11' + 'w').three()",
        there="with mp.get_context('fork').Pool(1) as pool:\n    three11 = pool.map(wk11m, [0])\ndel pool",
        after="three11 == [3]",
    ),
    Case(
        id="C11 a spawned worker of a function in a module of the folder",
        here="from pathlib import Path\nimport multiprocessing as mp\nn = Path('spawn11.py').write_text('def double(x): return 2 * x\\n')\nimport spawn11",
        there="with mp.get_context('spawn').Pool(1) as pool:\n    r11 = pool.map(spawn11.double, [1, 2])\ndel pool",
        after="r11 == [2, 4]",
    ),
]

LOADERS = [
    Case(
        id="C11 workers of a DataLoader read globals",
        here="import torch\nfrom torch.utils.data import DataLoader, Dataset\nscale_dl = {'by': 3}\n"
        "class Numbers(Dataset):\n    def __len__(self): return 6\n"
        "    def __getitem__(self, i): return torch.tensor(i * eval('scale' + '_dl')['by'])",
        there="total_dl = sum(int(batch.sum()) for batch in DataLoader(Numbers(), 2, num_workers=2))",
        after="total_dl == 45",
    ),
    Case(
        id="C11 workers of a DataLoader that print and raise",
        here="import torch\nfrom torch.utils.data import DataLoader, Dataset\nlimit_dl = 2\n"
        "class Broken(Dataset):\n    def __len__(self): return 4\n    def __getitem__(self, i):\n"
        "        print('item', i, flush=True)\n        if i >= limit_dl: raise ValueError(f'no item {i}')\n        return i",
        there="list(DataLoader(Broken(), 1, num_workers=2))",
        raises="ValueError",
        after="limit_dl == 2",
    ),
    Case(
        id="C11 collate and worker_init_fn of the notebook",
        here="import torch\nfrom torch.utils.data import DataLoader\nplus_dl = 10\n"
        "def glue(items): return [i + plus_dl for i in items]\ndef begin_worker(n): torch.manual_seed(plus_dl + n)",
        there="glued = list(DataLoader([1, 2, 3, 4], 2, num_workers=2, collate_fn=glue, worker_init_fn=begin_worker))",
        after="glued == [[11, 12], [13, 14]]",
    ),
    Case(
        id="C11 workers that stay between two passes",
        here="import torch\nfrom torch.utils.data import DataLoader",
        there="keeps = DataLoader(list(range(4)), 2, num_workers=2, persistent_workers=True)\n"
        "twice = [[b.tolist() for b in keeps] for _ in range(2)]\ndel keeps",
        after="twice == [[[0, 1], [2, 3]]] * 2",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(PROCESSES) == {}


@pytest.mark.torch
def test_the_rows_of_loaders_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(LOADERS) == {}


@pytest.mark.parametrize("case", PROCESSES, ids=str)
def test_workers_are_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


@pytest.mark.torch
@pytest.mark.parametrize("case", LOADERS, ids=str)
def test_loaders_are_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """The same for torch's own workers."""
    run_remotely(shell, case)


def test_what_a_worker_prints_is_shown(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the cell that runs, with the traceback of one that died."""
    shell.run_cell("import multiprocessing as mp\nsaid11 = 'hello'\n"
                   "def speak(n):\n    print('worker', eval(n), flush=True)\n    raise RuntimeError('worker fell')")  # fmt: skip
    capsys.readouterr()
    remotely(
        shell, "p = mp.get_context('fork').Process(target=speak, args=('said' + '11',))\np.start(); p.join(60)\ndel p"
    )
    said = capsys.readouterr()
    assert "worker hello" in said.out
    assert "worker fell" in said.out + said.err


def test_a_thread_that_outlives_its_cell_gets_names_between_cells(shell: InteractiveShell) -> None:
    """It asks when it is told to; the notebook answers when its next cell, of whichever kind, ends."""
    shell.run_cell("wanted11 = bytes(1_000_000)")  # more than goes along unasked
    remotely(shell, _LATE.format(name="wanted11"))
    remotely(shell, "go11.set()")
    answer = poll(shell, "done11.wait(0.2)\nanswer11 = got11[:]")
    assert answer == [1_000_000]


def test_a_thread_that_nobody_answers_is_told_why(shell: InteractiveShell) -> None:
    """A NameError after 30 s, which says where the name is."""
    shell.run_cell("unheard11 = bytes(1_000_000)")
    remotely(shell, _LATE.format(name="unheard11") + "\nthreading.Timer(1, go11.set).start()")
    time.sleep(36)  # the notebook runs nothing
    [answer] = poll(shell, "done11.wait(0.2)\nanswer11 = got11[:]")
    assert answer == "NameError: name 'unheard11' is in the notebook, which did not answer within 30 s"


_LATE = (
    "import threading\ngo11, done11, got11 = threading.Event(), threading.Event(), []\ndef late11():\n"
    "    go11.wait(120)\n    try:\n        got11.append(len(eval('{name}')))\n"
    "    except Exception as error:\n        got11.append(f'{{type(error).__name__}}: {{error}}')\n    done11.set()\n"
    "threading.Thread(target=late11, daemon=True).start()"
)


def poll(shell: InteractiveShell, code: str) -> list[object]:
    """Run cells, as a user does, until the thread has its answer."""
    deadline_s = time.monotonic() + 90
    while not shell.user_ns.get("answer11"):
        assert time.monotonic() < deadline_s
        shell.run_cell("pass")
        remotely(shell, code)
    return list(shell.user_ns.pop("answer11"))
