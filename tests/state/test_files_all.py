"""Files, all of it: large ones, many, readers and writers of many libraries, and sleep between two cells."""

# ruff: noqa: E501 - a row is read as one, with the lines of its cells in it
from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),  # a hundred thousand files are made on a busy disk
    # Notebooks do not close what they open.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

_FRAME = "import polars as pl\nframe = pl.DataFrame({'a': [1, 2]})\n"

CASES = [
    Case(id="D9 pandas", here="open('r2.csv','w').write('a,b\\n1,2\\n'); p = 'r2' + '.csv'",
         there="import pandas as pd\nr = int(pd.read_csv(p).b[0])", after="r == 2"),
    Case(id="D9 polars reads by a variable", here=_FRAME + "frame.write_csv('p1.csv'); frame.write_parquet('p1.parquet')\np = 'p1'",
         there="import polars as pl\nr = pl.read_csv(f'{p}.csv').shape, pl.read_parquet(p + '.parquet').shape", after="r == ((2, 1), (2, 1))"),
    Case(id="D9 polars scans a pattern", here=_FRAME + "import os\nos.mkdir('p2'); frame.write_parquet('p2/a.parquet'); frame.write_parquet('p2/b.parquet')",
         there="import polars as pl\nr = pl.scan_parquet('p2/*.parquet').collect().shape", after="r == (4, 1)"),
    Case(id="D9 pyarrow reads a folder", here=_FRAME + "import os\nos.mkdir('p3'); frame.write_parquet('p3/a.parquet')\nbase = 'p3'",
         there="import pyarrow.dataset as ds\nr = ds.dataset(base).to_table().num_rows", after="r == 2"),
    Case(id="D9 polars writes", there="import polars as pl\npl.DataFrame({'a': [1]}).write_parquet('p4' + '.parquet')", after="__import__('polars').read_parquet('p4.parquet').shape == (1, 1)"),
    Case(id="D9 pandas and parquet", here=_FRAME + "frame.write_parquet('p5.parquet')\nn = 'p5'",
         there="import pandas as pd\nd = pd.read_parquet(n + '.parquet'); d.to_parquet('p5b.parquet'); r = d.shape; del d", after="r == (2, 1) and __import__('os').path.exists('p5b.parquet')"),
    Case(id="D9 an image", here="from PIL import Image\nImage.new('RGB', (3, 2)).save('p6.png')\nn = 'p6'",
         there="from PIL import Image\nwith Image.open(n + '.png') as i: r = i.size\ni.rotate(90).save('p6r.png') if False else Image.new('L', (2, 3)).save('p6r.png')\ndel i",
         after="r == (3, 2) and __import__('PIL.Image').Image.open('p6r.png').size == (2, 3)"),
    Case(id="D9 a figure", there="import matplotlib.pyplot as plt\nf, ax = plt.subplots(); ax.plot([1, 2]); f.savefig('p7.png'); plt.close(f); del f, ax",
         after="open('p7.png', 'rb').read(4) == b'\\x89PNG'"),
    Case(id="D9 a zip written", there="import zipfile\nwith zipfile.ZipFile('p8.zip', 'w') as z: z.writestr('a', 'x')\ndel z", after="__import__('zipfile').ZipFile('p8.zip').read('a') == b'x'"),
    Case(id="D9 sqlite written", here="import sqlite3\nc = sqlite3.connect('p9.db'); c.execute('create table t (a)'); c.commit(); c.close(); del c\nn = 'p9'",
         there="import sqlite3\nc = sqlite3.connect(n + '.db'); c.execute('insert into t values (1)'); c.commit(); c.close(); del c",
         after="__import__('sqlite3').connect('p9.db').execute('select * from t').fetchall() == [(1,)]"),
    Case(id="D9 appended by a program", here="open('p10.txt', 'w').write('a\\n')\nf = 'p10' + '.txt'", there="!echo b >> $f", after="open('p10.txt').read() == 'a\\nb\\n'"),
    Case(id="D9 made executable by a program", here="open('p11.sh', 'w').write('echo hi')\nf = 'p11' + '.sh'", there="!chmod +x $f", after="__import__('os').access('p11.sh', 1)"),
    Case(id="D9 moved by a program", here="open('p12.txt', 'w').write('x')\nf = 'p12'", there="!mv {f}.txt {f}.md", after="open('p12.md').read() == 'x' and not __import__('os').path.exists('p12.txt')"),
    Case(id="D9 a folder copied by a program", here="import os\nos.mkdir('p13'); open('p13/a', 'w').write('x')\nf = 'p13'", there="!cp -r $f {f}b", after="open('p13b/a').read() == 'x'"),
    Case(id="D9 a long line of appends", here="f = 'p14' + '.log'", there="for i in range(50):\n    with open(f, 'a') as log: log.write('x')\ndel log, i", after="open(f).read() == 'x' * 50"),
    Case(id="D9 two thousand small files", there="import os\nos.mkdir('p15')\nfor i in range(2000):\n    with open(f'p15/{i}', 'w') as f: f.write(str(i))\ndel f, i",
         after="len(__import__('os').listdir('p15')) == 2000 and open('p15/1999').read() == '1999'"),
    Case(id="D9 two thousand small files read", here="import os, pathlib\nos.mkdir('p16')\nfor i in range(2000): pathlib.Path(f'p16/{i}').write_text('x')",
         there="import pathlib\nr = sum(len(p.read_text()) for p in pathlib.Path('p16').iterdir())", after="r == 2000"),
    Case(id="D9 a pickle", here="n = 'p17'", there="import pickle\nwith open(n + '.pkl', 'wb') as f: pickle.dump([1], f)\ndel f", after="__import__('pickle').load(open('p17.pkl', 'rb')) == [1]"),
]  # fmt: skip


TORCH = Case(id="D9 torch saves and loads", here="import torch\ntorch.save({'w': torch.arange(4.0)}, 'p18.pt')\nn = 'p18'",
             there="import torch\nstate = torch.load(n + '.pt')\nr = state['w'].sum().item()\ntorch.save(state['w'] * 2, n + 'b.pt')\ndel state",
             after="r == 6.0 and __import__('torch').load('p18b.pt').tolist() == [0, 2, 4, 6]")  # fmt: skip


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_files_are_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


@pytest.mark.torch
def test_files_of_torch_are_as_if_the_cell_ran_here(shell: InteractiveShell) -> None:
    """Its reader and its writer are in C++."""
    assert failures_here([TORCH]) == {}
    run_remotely(shell, TORCH)


def test_files_are_there_after_sleep(shell: InteractiveShell) -> None:
    """What was written, what was brought, and what stayed: or they come again."""
    Path("brought.txt").write_text("brought")
    shell.run_cell("%gpu_config writeback_limit=1M")
    _run(
        shell,
        "n = 'brought' + '.txt'\nopen(n).read()\nopen('wrote.txt', 'w').write('wrote')\nopen('stays.bin', 'wb').write(bytes(2 << 20))",
    )
    shell.run_cell("%gpu_config writeback_limit=256M")
    shell.run_line_magic("gpu_stop", "")
    Path("brought.txt").write_text("edited while it slept")
    _run(
        shell,
        "import os\nr = open(n).read(), open('wro' + 'te.txt').read(), os.path.getsize('stays.bin')\nopen('wro' + 'te.txt', 'a').write('!')",
    )
    assert shell.user_ns["r"] == ("edited while it slept", "wrote", 2 << 20)
    assert Path("wrote.txt").read_text() == "wrote!"
    assert not list(Path().glob("*__remote*"))


def test_a_folder_of_a_hundred_thousand_files_costs_a_cell_nothing(shell: InteractiveShell) -> None:
    """Neither before a cell nor after it; one file of it can be read, and all can be listed."""
    Path("crowd").mkdir()
    for number in range(100_000):
        os.close(os.open(f"crowd/{number}", os.O_WRONLY | os.O_CREAT))
    Path("crowd/77").write_text("x")
    _run(shell, "one = open('cro' + 'wd/77').read()")
    assert shell.user_ns["one"] == "x"
    usual = _seconds_of_a_cell(shell)
    _run(shell, "import os\ncount = len(os.listdir('cro' + 'wd'))")
    assert shell.user_ns["count"] == 100_000
    Path("crowd/99999").write_text("y")
    _run(shell, "one = open('cro' + 'wd/99999').read()")  # one of those that no lease was left for
    assert shell.user_ns["one"] == "y"
    assert _seconds_of_a_cell(shell) < usual + 8  # looking at all of them again would take twice that


def test_nine_hundred_megabytes_come_over_in_bounded_memory(shell: InteractiveShell) -> None:
    """The notebook does not hold them."""
    with Path("nine.bin").open("wb") as file:
        file.truncate(900 << 20)
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _run(
        shell,
        "import os\nwith open('ni' + 'ne.bin', 'rb') as f:\n    size = f.seek(0, 2); f.seek(-1, 2); last = f.read()\ndel f",
    )
    assert (shell.user_ns["size"], shell.user_ns["last"]) == (900 << 20, b"!")
    private_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert private_kb < 1.2 * (900 << 10)  # its pages, mapped from the file
    Path("nine.bin").unlink()
    _run(shell, "1")


def test_six_hundred_megabytes_are_got_piece_by_piece(shell: InteractiveShell) -> None:
    """A file larger than what may come by itself arrives whole, without being held in memory."""
    _run(
        shell, "with open('large.bin', 'wb') as f:\n    for i in range(19): f.write(bytes([i]) * (32 << 20))\ndel f, i"
    )
    assert not Path("large.bin").exists()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shell.run_line_magic("gpu_get", "large.bin")
    assert Path("large.bin").stat().st_size == 19 * (32 << 20)
    with Path("large.bin").open("rb") as file:
        file.seek(-1, os.SEEK_END)
        assert file.read() == b"\x12"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 256 << 10
    Path("large.bin").unlink()
    _run(shell, "import os\nr = os.path.exists('large.bin')")
    assert not shell.user_ns["r"]  # it takes no room there either


@pytest.mark.parametrize("where", ["/", "~"])
def test_a_notebook_in_the_root_or_at_home_behaves(
    shell: InteractiveShell, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is looked through: the cell starts as fast as elsewhere."""
    monkeypatch.chdir(Path(where).expanduser())
    looked: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path=".": (looked.append(str(path)), real(path))[1])
    _run(shell, "x = 1 + 1")
    assert shell.user_ns["x"] == 2
    assert looked == []


def _run(shell: InteractiveShell, cell: str) -> None:
    result = shell.run_cell(f"%%gpu A100\n{cell}")
    assert result.success, result.error_before_exec or result.error_in_exec


def _seconds_of_a_cell(shell: InteractiveShell) -> float:
    times = []
    for _ in range(5):
        began_s = time.perf_counter()
        _run(shell, "1 + 1")
        times.append(time.perf_counter() - began_s)
    return min(times)
