"""Files: what a cell finds in the notebook's folder, and what it leaves there."""

# ruff: noqa: E501 - a row is read as one, with the lines of its cells in it
from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

# Notebooks do not close what they open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
_MAKE = "import os, pathlib\nP = pathlib.Path('{0}'); P.mkdir()\n"

READING = [
    Case(id="D9 read by a path in a variable", here="open('r1.csv','w').write('a,b\\n1,2\\n'); p = 'r1' + '.csv'",
         there="r = open(p).read()", after="r == 'a,b\\n1,2\\n'"),
    Case(id="D9 numpy", here="import numpy as np\nnp.save('r3.npy', np.arange(4)); np.savetxt('r3.txt', np.arange(3)); n='r3'",
         there="import numpy as np\nr = np.load(f'{n}.npy').sum() + np.loadtxt(f'{n}.txt').sum()"
               " + np.memmap(n + '.npy', mode='r', dtype='u1').size * 0", after="r == 9"),
    Case(id="D9 sqlite", here="import sqlite3\nc = sqlite3.connect('r4.db'); c.execute('create table t (a)')\n"
         "c.execute('insert into t values (7)'); c.commit(); c.close(); del c; n = 'r4'",
         there="import sqlite3\nc = sqlite3.connect(n + '.db'); r = c.execute('select a from t').fetchone(); c.close(); del c",
         after="r == (7,)"),
    Case(id="D9 json, gzip and zip", here="import gzip, json, zipfile\njson.dump([1], open('r5.json','w')); n = 'r5'\n"
         "gzip.open('r5.gz','wt').write('z')\nwith zipfile.ZipFile('r5.zip','w') as z: z.writestr('k', 'v')\ndel z",
         there="import gzip, json, zipfile\nr = json.load(open(n + '.json')), gzip.open(n + '.gz').read(), zipfile.ZipFile(n + '.zip').read('k')",
         after="r == ([1], b'', b'v') or r == ([1], b'z', b'v')"),
    Case(id="D9 listed", here=_MAKE.format("l1") + "[(P / f'{i}.txt').write_text(str(i)) for i in range(5)]; (P / 'sub').mkdir()",
         there="import os\nr = sorted(os.listdir('l1'))", after="r == ['0.txt', '1.txt', '2.txt', '3.txt', '4.txt', 'sub']"),
    Case(id="D9 globbed and read", here=_MAKE.format("l2") + "[(P / f'{i}.txt').write_text(str(i)) for i in range(5)]; del P",
         there="import glob\nr = ''.join(open(f).read() for f in sorted(glob.glob('l2/*.txt')))", after="r == '01234'"),
    Case(id="D9 walked", here=_MAKE.format("l3") + "(P / 'a/b').mkdir(parents=True); (P / 'a/b/c.txt').write_text('c'); (P / 'x').write_text('')",
         there="import os\nr = [(d, sorted(s), sorted(f)) for d, s, f in os.walk('l3')]",
         after="r == [('l3', ['a'], ['x']), ('l3/a', ['b'], []), ('l3/a/b', [], ['c.txt'])]"),
    Case(id="D9 path objects", here=_MAKE.format("l4") + "(P / 'a.txt').write_text('a')",
         there="r = P.is_dir(), [p.name for p in P.iterdir()], (P / 'a.txt').read_text(), (P / 'none').exists(), list(P.rglob('*.txt')) == [P / 'a.txt']",
         after="r == (True, ['a.txt'], 'a', False, True)"),
    Case(id="D9 stat before reading", here=_MAKE.format("l5") + "(P / 'a.bin').write_bytes(bytes(100)); os.utime(P / 'a.bin', (5, 5)); (P / 'a.bin').chmod(0o750); n = 'l5/a'; del P",
         there="import os\ns = os.stat(n + '.bin'); r = s.st_size, s.st_mtime, oct(s.st_mode), os.path.exists(n + '.no'), os.access(n + '.bin', os.R_OK); del s",
         after="r == (100, 5.0, '0o100750', False, True)"),
    Case(id="D9 a shell command", here="open('r6.csv','w').write('one\\ntwo\\n'); f = 'r6' + '.csv'",
         there="r = !head -1 $f", after="list(r) == ['one']"),
    Case(id="D9 a program finds it by itself", here=_MAKE.format("l6") + "[(P / f'{i}.txt').write_text(f'{i}\\n') for i in range(3)]; del P",
         there="import subprocess\nr = subprocess.run('cat l*6/*.txt; ls l6 | wc -l', shell=True, capture_output=True, text=True).stdout.split()",
         after="r == ['0', '1', '2', '3']"),
    Case(id="D9 a reader in C", here=_MAKE.format("l7") + "import ctypes\n[(P / f'{i}.txt').write_text(f'{i}') for i in range(3)]; del P",
         there="import ctypes, os\nlibc = ctypes.CDLL(None)\nr = b''\nfor f in sorted(os.scandir('l7'), key=lambda e: e.name):\n"
               "    d = libc.open(f.path.encode(), 0); r += os.read(d, 9); os.close(d)\ndel libc, f, d", after="r == b'012'"),
    Case(id="D9 odd names", here=_MAKE.format("l8") + "names = ['a b.txt', 'ü€.txt', 'new\\nline.txt', '~x', '*?.txt', '-n', \"q'\\\"\"]\n[(P / n).write_text(n) for n in names]",
         there="import os\nr = sorted(os.listdir('l8')) == sorted(names) and all((P / n).read_text() == n for n in names)", after="r"),
    Case(id="D9 absolute, dotted and above", here=_MAKE.format("l9") + "(P / 's').mkdir(); (P / 'a.txt').write_text('a'); full = str((P / 'a.txt').resolve())",
         there="import os\nr = open(full).read() + open('./l9/s/../a.txt').read()\nos.chdir('l9/s')\nr += open('../a.txt').read()\nos.chdir('../..')", after="r == 'aaa'"),
    Case(id="D9 a link in the folder", here=_MAKE.format("l10") + "(P / 'real').mkdir(); (P / 'real/a.txt').write_text('a'); (P / 'ln').symlink_to('real'); (P / 'f.txt').symlink_to('real/a.txt')",
         there="import os\nr = open('l10/f' + '.txt').read(), open('l10/ln/' + 'a.txt').read(), os.path.islink('l10/ln'), sorted(os.listdir('l10'))",
         after="r == ('a', 'a', True, ['f.txt', 'ln', 'real'])"),
    Case(id="D9 a path in a dataclass", here="from dataclasses import dataclass\nopen('r7.txt','w').write('7')\n@dataclass\nclass C:\n    path: str\nc = C('r7.txt')\ndef load(c): return open(c.path).read()",
         there="r = load(c)", after="r == '7'"),
    Case(id="D9 nothing there", there="try:\n    open('nothing.txt')\nexcept FileNotFoundError as e:\n    r = e.errno", after="r == 2"),
]  # fmt: skip

WRITING = [
    Case(id="D9 written", there="with open('w1.txt', 'w') as f: f.write('x')\ndel f", after="open('w1.txt').read() == 'x'"),
    Case(id="D9 written into folders", there="import os\nos.makedirs('w2/a/b'); open('w2/a/b/c.txt', 'w').write('x'); os.mkdir('w2/empty');",
         after="import os\nassert open('w2/a/b/c.txt').read() == 'x' and os.listdir('w2/empty') == []"),
    Case(id="D9 appended", here="open('w3.txt','w').write('a'); p = 'w3' + '.txt'", there="with open(p, 'a') as f: f.write('b')\ndel f", after="open(p).read() == 'ab'"),
    Case(id="D9 appended again", here="p = 'w3' + '.txt'", there="with open(p, 'a') as f: f.write('c')\ndel f", after="open(p).read()[-1] == 'c'"),
    Case(id="D9 overwritten unread", here="open('w4.txt','w').write('old'); p = 'w4' + '.txt'", there="with open(p, 'w') as f: f.write('new')\ndel f", after="open(p).read() == 'new'"),
    Case(id="D9 changed in the middle", here="open('w5.txt','w').write('abc'); p = 'w5' + '.txt'", there="with open(p, 'r+') as f: f.seek(1); f.write('X')\ndel f", after="open(p).read() == 'aXc'"),
    Case(id="D9 exclusive where there is one", here="open('w6.txt','w').write('a'); p = 'w6' + '.txt'", there="open(p, 'x')", raises="FileExistsError", after="open(p).read() == 'a'"),
    Case(id="D9 removed", here="open('w7.txt','w').write('a'); p = 'w7' + '.txt'", there="import os\nos.remove(p)", after="not __import__('os').path.exists(p)"),
    Case(id="D9 renamed", here="open('w8.txt','w').write('a'); p = 'w8'", there="import os\nos.rename(p + '.txt', p + '.md')", after="open('w8.md').read() == 'a' and not __import__('os').path.exists('w8.txt')"),
    Case(id="D9 a folder renamed", here=_MAKE.format("w9") + "(P / 'a.txt').write_text('a'); del P", there="import os\nos.listdir('w9'); os.rename('w9', 'w9b')",
         after="open('w9b/a.txt').read() == 'a' and not __import__('os').path.exists('w9')"),
    Case(id="D9 a tree removed", here=_MAKE.format("w10") + "(P / 's').mkdir(); (P / 's/a.txt').write_text('a'); del P", there="import shutil\nshutil.rmtree('w10')", after="not __import__('os').path.exists('w10')"),
    Case(id="D9 copied and moved", here="open('w11.txt','w').write('a'); p = 'w11'", there="import shutil\nshutil.copy(p + '.txt', p + '.copy'); shutil.move(p + '.txt', p + '.moved')",
         after="open('w11.copy').read() == open('w11.moved').read() == 'a' and not __import__('os').path.exists('w11.txt')"),
    Case(id="D9 by a program", there="!mkdir -p w12 && echo hello > w12/out.txt", after="open('w12/out.txt').read() == 'hello\\n'"),
    Case(id="D9 permissions and time", there="import os\nopen('w13.sh', 'w').write('x'); os.chmod('w13.sh', 0o750); os.utime('w13.sh', (9, 9))",
         after="import os\ns = os.stat('w13.sh')\nassert (oct(s.st_mode), s.st_mtime) == ('0o100750', 9.0)"),
    Case(id="D9 made executable", here="open('w14.sh','w').write('x'); p = 'w14' + '.sh'", there="import os\nos.chmod(p, 0o755)", after="__import__('os').access(p, 1)"),
    Case(id="D9 a link made", there="import os\nopen('w15.txt', 'w').write('x'); os.symlink('w15.txt', 'w15.ln')", after="__import__('os').readlink('w15.ln') == 'w15.txt'"),
    Case(id="D9 written before it raised", there="open('w16.txt', 'w').write('x')\n1/0", raises="ZeroDivisionError", after="open('w16.txt').read() == 'x'"),
    Case(id="D9 numpy and pandas write", there="import numpy as np, pandas as pd\nnp.save('w17.npy', np.arange(3)); pd.DataFrame({'a': [1]}).to_csv('w17.csv', index=False)",
         after="import numpy as np\nassert np.load('w17.npy').sum() == 3 and open('w17.csv').read() == 'a\\n1\\n'"),
    Case(id="D9 memory mapped", here="import numpy as np\nnp.zeros(8, 'u1').tofile('w18.bin'); n = 'w18'", there="import numpy as np\nm = np.memmap(n + '.bin', mode='r+', dtype='u1'); m[3] = 5; m.flush(); del m",
         after="open('w18.bin', 'rb').read() == b'\\0\\0\\0\\5\\0\\0\\0\\0'"),
    Case(id="D9 many small ones", there="import os\nos.mkdir('w19')\nfor i in range(200): open(f'w19/{i}', 'w').write(str(i))\ndel i", after="len(__import__('os').listdir('w19')) == 200 and open('w19/77').read() == '77'"),
]  # fmt: skip


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here([*READING, *WRITING]) == {}


@pytest.mark.parametrize("case", [*READING, *WRITING], ids=str)
def test_files_are_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
