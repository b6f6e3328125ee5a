"""Files: what the cell says of them, what stays where it is, and what changed on both sides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.protocol.defaults import DEFAULTS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def run(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a `%%gpu` cell that must not raise; return all that is shown under it."""

    def run(cell: str, options: str = "", *, raises: str = "") -> str:
        capsys.readouterr()
        result = shell.run_cell(f"%%gpu A100 {options}\n{cell}")
        error = result.error_before_exec or result.error_in_exec
        assert (type(error).__name__ if error else "") == raises, error
        shown = capsys.readouterr()
        return shown.out + shown.err + (str(error) if error else "")

    return run


def test_the_footer_names_what_was_brought_and_written(run: Any) -> None:
    """Reading and writing a file is told in the last line."""
    Path("in.txt").write_text("x")
    shown = run("p = 'in' + '.txt'\nwith open(p) as f, open('out.txt', 'w') as g: g.write(f.read())\ndel f, g")
    assert "read in.txt · wrote out.txt" in shown
    assert Path("out.txt").read_text() == "x"


def test_a_cell_that_touches_no_file_asks_for_none(run: Any) -> None:
    """Nothing is read, listed or said."""
    assert "read" not in run("1 + 1")


def test_a_file_edited_between_cells_is_read_fresh(run: Any) -> None:
    """Also where only a variable of the container's says its name."""
    Path("fresh.txt").write_text("one")
    run("p = 'fresh' + '.txt'\nr = open(p).read()")
    Path("fresh.txt").write_text("two!")
    assert "two!" in run("print(open(p).read())")


def test_a_file_deleted_between_cells_is_gone(run: Any) -> None:
    """The container does not keep what the notebook has no more."""
    Path("short.txt").write_text("one")
    run("q = 'short' + '.txt'\nr = open(q).read()")
    Path("short.txt").unlink()
    assert "False" in run("import os\nprint(os.path.exists(q), end='')")


def test_a_listed_file_that_came_between_cells_is_listed(run: Any) -> None:
    """And one that went is not, even for a reader in C."""
    Path("growing").mkdir()
    (Path("growing") / "a").write_text("a")
    assert "['a']" in run("import os, subprocess\nprint(os.listdir('grow' + 'ing'))")
    (Path("growing") / "a").unlink()
    (Path("growing") / "b").write_text("b")
    assert "['b']" in run("print(os.listdir('grow' + 'ing'))")
    assert "b" in run("print(subprocess.run(['cat', 'grow' + 'ing/b'], capture_output=True, text=True).stdout)")


def test_names_found_by_an_earlier_cell_can_be_opened_by_a_reader_in_c(run: Any) -> None:
    """What was listed stays in view."""
    Path("kept").mkdir()
    for number in range(3):
        (Path("kept") / f"{number}.txt").write_text(str(number))
    run("import glob\nfound = sorted(glob.glob('ke*t/*.txt'))")
    shown = run(
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nd = [libc.open(f.encode(), 0) for f in found]\n"
        "print(b''.join(os.read(n, 9) for n in d))\nfor n in d: os.close(n)\ndel libc, d, n"
    )
    assert "b'012'" in shown


def test_a_file_that_changed_here_meanwhile_is_kept_and_the_remote_one_lands_beside(run: Any, shell: Any) -> None:
    """The cell says so, and the next cell reads the notebook's."""
    Path("both.txt").write_text("base")
    shown = _with_local_change(shell, run)
    assert "both.txt changed here too: the remote one is both__remote.txt." in shown
    assert Path("both.txt").read_text() == "local"
    assert Path("both__remote.txt").read_text() == "base remote"
    assert "local" in run("print(open('bo' + 'th.txt').read())")


def _with_local_change(shell: InteractiveShell, run: Any) -> str:
    """The notebook's file changes while the cell runs: when the cell asks for its input."""

    def answer(_prompt: str = "") -> str:
        Path("both.txt").write_text("local")
        return "go on"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.input", answer)
        return str(run("with open('both.txt', 'a') as f: f.write(' remote')\ndel f\nanswer = input()"))


def test_a_file_the_container_never_saw_is_kept_when_it_is_new_here(shell: InteractiveShell, run: Any) -> None:
    """It came into being on both sides while the cell ran."""

    def answer(_prompt: str = "") -> str:
        Path("twin.txt").write_text("local")
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.input", answer)
        shown = run("with open('tw' + 'in.txt', 'w') as f: f.write('remote')\ndel f\nanswer = input()")
    assert "twin__remote.txt" in shown
    assert (Path("twin.txt").read_text(), Path("twin__remote.txt").read_text()) == ("local", "remote")


def test_a_file_of_an_earlier_run_is_overwritten_by_a_program(run: Any) -> None:
    """It was there before the cell: a local cell would have written over it."""
    Path("again.txt").write_text("before")
    os.utime("again.txt", (1, 1))
    run("import time")  # the clock of the file system has moved on
    run("f = 'again' + '.txt'\n!echo after > $f")
    assert Path("again.txt").read_text() == "after\n"


def test_a_file_above_the_limit_stays_and_is_named(run: Any, shell: InteractiveShell) -> None:
    """`%gpu_get` brings it, whole and with its time, or leaves everything as it was."""
    shell.run_cell("%gpu_config writeback_limit=1M")
    try:
        shown = run(
            "import os\nos.makedirs('runs/x', exist_ok=True)\nopen('runs/x/big.bin', 'wb').write(b'ab' * (1 << 20))"
        )
    finally:
        shell.run_cell("%gpu_config writeback_limit=256M")
    assert "`%gpu_get runs/x/big.bin` brings it here" in shown
    assert not Path("runs/x/big.bin").exists()
    shell.run_line_magic("gpu_get", "runs/x/big.bin")
    assert Path("runs/x/big.bin").read_bytes() == b"ab" * (1 << 20)
    assert [path.name for path in Path("runs/x").iterdir()] == ["big.bin"]


def test_a_folder_is_got_as_a_whole(run: Any, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """With the folders below it."""
    run("import os\nos.makedirs('tree/s', exist_ok=True)\nfor n in ('a', 's/b'): open('tree/' + n, 'w').write(n)")
    for name in ("tree/a", "tree/s/b"):
        Path(name).unlink()
    capsys.readouterr()
    shell.run_line_magic("gpu_get", "tree")
    assert "tree/a: 1 B" in capsys.readouterr().out
    assert Path("tree/s/b").read_text() == "s/b"


@pytest.mark.parametrize(
    ("path", "why"), [("none.bin", "does not exist"), ("../../etc/passwd", "outside"), ("/etc/passwd", "outside")]
)
def test_what_cannot_be_got_is_one_line(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], path: str, why: str
) -> None:
    """And nothing is written."""
    before = sorted(Path().rglob("*"))
    result = shell.run_cell(f"%gpu_get {path}")
    assert why in str(result.error_in_exec or "") + capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


def test_a_disk_that_is_full_is_one_line_and_nothing_is_half_written(
    run: Any, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that was there stays as it was."""
    run("with open('full.bin', 'w') as f: f.write('new')\ndel f")
    real = os.write

    def full(descriptor: int, data: Any) -> int:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).endswith(".part"):
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    shown = run("with open('full.bin', 'w') as f: f.write('newer')\ndel f")
    assert "full.bin could not be written here (No space left on device): `%gpu_get full.bin` tries again." in shown
    error = shell.run_cell("%gpu_get full.bin").error_in_exec
    assert "No space left on device" in str(error)
    monkeypatch.undo()
    assert Path("full.bin").read_text() == "new"
    assert not list(Path().glob(".*.part"))
    shell.run_line_magic("gpu_get", "full.bin")
    assert Path("full.bin").read_text() == "newer"


@pytest.mark.parametrize("name", [".env", "id_rsa", ".netrc", "server.pem", "credentials.json"])
def test_credential_files_stay(run: Any, name: str) -> None:
    """Their names are seen, their content is not, and one line says what to do."""
    Path(name).write_text("hunter2")
    shown = run(
        f"import os\nname = {name[:2]!r} + {name[2:]!r}\nprint(name in os.listdir(), os.path.exists(name))\nopen(name)",
        raises="PermissionError",
    )
    assert "True True" in shown
    assert f"{name} stays on your machine, as it may hold credentials: use `--secret NAME`" in shown
    assert "hunter2" not in run("print(__import__('subprocess').run(['cat', name], capture_output=True))")


def test_a_file_above_a_gigabyte_is_seen_and_refused(run: Any) -> None:
    """The line says where it belongs."""
    with Path("huge.bin").open("wb") as file:
        file.truncate(DEFAULTS.file_limit_bytes + 1)
    shown = run("import os\nn = 'huge' + '.bin'\nprint(os.stat(n).st_size)\nopen(n)", raises="PermissionError")
    assert str(DEFAULTS.file_limit_bytes + 1) in shown
    assert "huge.bin is larger than 1 GB: put it into a volume (`--volume`)" in shown
    Path("huge.bin").unlink()


def test_a_link_that_leads_out_is_not_followed(run: Any, tmp_path: Path) -> None:
    """What lies outside the notebook's folder stays there."""
    (tmp_path / "secret.txt").write_text("hunter2")
    Path("out.ln").symlink_to(tmp_path / "secret.txt")
    assert "hunter2" not in run("n = 'out' + '.ln'\nopen(n)", raises="FileNotFoundError")


def test_what_tools_leave_behind_does_not_come_home(run: Any) -> None:
    """`__pycache__`, `.git` and checkpoints stay; other hidden files come."""
    run(
        "import os\nfor f in ('__pycache__', '.git/hooks', '.ipynb_checkpoints'):\n    os.makedirs('tool/' + f)\n"
        "    open('tool/' + f + '/x', 'w').write('x')\nopen('tool/.hidden', 'w').write('h')"
    )
    assert [path.name for path in Path("tool").rglob("*")] == [".hidden"]


def test_a_cell_that_is_interrupted_leaves_its_files(shell: InteractiveShell, run: Any) -> None:
    """What was written until then comes home."""

    def stop(_prompt: str = "") -> str:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.input", stop)
        run("f = open('half.txt', 'w')\nf.write('half')\nf.flush()\ninput()", raises="KeyboardInterrupt")
    assert Path("half.txt").read_text() == "half"


def test_workers_that_a_cell_forks_read_files(run: Any) -> None:
    """As DataLoader's do."""
    Path("forked").mkdir()
    for number in range(4):
        (Path("forked") / f"{number}.txt").write_text(str(number))
    shown = run(
        "import multiprocessing, glob\ndef load(path): return open(path).read()\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    print(pool.map(load, sorted(glob.glob('for*ed/*.txt'))), pool.map(load, ['for' + 'ked/0.txt']))\n"
        "del pool"
    )
    assert "['0', '1', '2', '3'] ['0']" in shown


def test_the_notebooks_folder_is_not_looked_through(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a cell that reads one file of it, and never by one that reads none."""
    Path("wide/deep").mkdir(parents=True)
    Path("wide/x.txt").write_text("x")
    looked: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path=".": (looked.append(str(path)), real(path))[1])
    run("r = open('wi' + 'de/x.txt').read()")
    assert not [path for path in looked if path.endswith("deep")]
    looked.clear()
    run("1 + 1")
    assert looked == []


_KILL_THE_KEEPER = """
import os, signal
names = os.listdir('{0}')
for pid in open(f'/proc/self/task/{{os.getpid()}}/children').read().split():
    if b'agent.keeper' in open(f'/proc/{{pid}}/cmdline', 'rb').read():
        os.kill(int(pid), signal.SIGKILL)
        killed = pid
"""


def test_files_come_after_what_brings_them_was_killed(run: Any) -> None:
    """In the same cell, and to a reader in C in the next."""
    Path("orphans").mkdir()
    for name in ("a", "b"):
        Path("orphans", name).write_text(name)
    shown = run(
        _KILL_THE_KEEPER.format("orph" + "ans") + "print(bool(killed), open('orph' + 'ans/' + names[0]).read())"
    )
    assert "True a" in shown or "True b" in shown
    assert "ab" in run("import subprocess\nprint(subprocess.getoutput('cat orph' + 'ans/*'))")
