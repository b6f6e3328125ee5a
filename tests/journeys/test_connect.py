"""The runtime on another machine: served by hand, connected to by URL, with shared memory or without."""

from __future__ import annotations

import atexit
import getpass
import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext import load_ipython_extension, notebook, unload_ipython_extension
from kernel_bridge.cli.main import main as cellburst

pytestmark = pytest.mark.timeout(240)
numpy = pytest.importorskip("numpy")

_ADDRESS = re.compile(r"http://\S+(?=;)")


@dataclass(frozen=True)
class Host:
    """A machine that serves its cards: where it answers, and the token made for the notebook."""

    url: str
    token: str
    data: Path

    def blobs(self) -> int:
        """Count what it has stored."""
        return sum(len(path.name) == 64 for path in (self.data / "blobs").rglob("*"))


class Kernel:
    """A notebook's kernel without a front end: what a cell leaves in the namespace, and what it prints."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self._capsys = capsys

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def run(self, code: str) -> str:
        """Run a cell that must succeed; return what it printed."""
        ran, printed = self._run(code)
        assert ran.success, printed
        return printed

    def fail(self, code: str) -> str:
        """Run a cell that must fail; return what was shown."""
        ran, printed = self._run(code)
        assert not ran.success
        return printed

    def _run(self, code: str) -> tuple[Any, str]:
        self._capsys.readouterr()
        ran = self.shell.run_cell(code, store_history=True)
        printed = self._capsys.readouterr()
        return ran, printed.out + printed.err


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A runtime of its own, with cards to spare: a notebook of the test before may still be leaving."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder:
        env = os.environ | {
            "CELLBURST_DATA_DIR": f"{folder}/data",
            "CELLBURST_RUNTIME_DIR": f"{folder}/run",
            "CELLBURST_CONFIG_DIR": f"{folder}/config",
        }
        options = ["--host", "127.0.0.1", "--port", "0", "--simulate-gpus", "A100:8"]
        with subprocess.Popen(_command("runtime", "serve", *options), env=env, stdout=subprocess.PIPE, text=True) as it:
            try:
                assert it.stdout is not None
                [url] = _ADDRESS.findall(it.stdout.readline())
                made = subprocess.run(
                    _command("token", "create", "notebook"), env=env, check=True, capture_output=True, text=True
                )
                yield Host(url, made.stdout.strip(), Path(folder) / "data")
                subprocess.run(_command("runtime", "stop"), env=env, check=True, capture_output=True)
                it.wait(timeout=30)
            finally:
                it.kill()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Kernel]:
    """A kernel of a user who has no runtime yet, in a folder of its own."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for name in ("config", "data"):
        monkeypatch.setenv(f"CELLBURST_{name.upper()}_DIR", str(tmp_path / name))
    folder = tmp_path / "notebook"
    folder.mkdir()
    monkeypatch.chdir(folder)
    kernel_id = uuid.uuid4().hex  # one for each kernel, as if it were a process
    monkeypatch.setattr(notebook, "kernel_id", lambda: kernel_id)
    shell = InteractiveShell()
    load_ipython_extension(shell)
    yield Kernel(shell, capsys)
    unload_ipython_extension(shell)
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()


@pytest.fixture
def connected(kernel: Kernel, host: Host, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """The kernel, connected; the token is typed where it is asked for."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt: host.token)
    said = kernel.run(f"%gpu_connect {host.url}")
    assert host.url in said
    assert host.token not in said
    return kernel


def test_state_goes_there_and_comes_back(connected: Kernel) -> None:
    """A cell reads the notebook's names, and what it binds or changes in place is the notebook's afterwards."""
    connected.run("numbers = [1, 2]; same = numbers")
    printed = connected.run("%%gpu A100\nnumbers.append(3)\ntotal = sum(numbers)\nprint('there', total)")
    assert "there 6" in printed
    assert connected["total"] == 6
    assert connected["same"] is connected["numbers"]
    assert connected["numbers"] == [1, 2, 3]


def test_a_handle_is_fetched(connected: Kernel) -> None:
    """What was left there shows what it is, and comes when it is asked for."""
    connected.run("%%gpu A100 --leave grid\nimport numpy\ngrid = numpy.arange(12).reshape(3, 4)")
    assert "shape (3, 4)" in repr(connected["grid"])
    assert connected.run("print(grid.fetch().sum())").startswith("66")


def test_files_travel_both_ways(connected: Kernel) -> None:
    """A file that the cell reads goes there; one that it writes comes home."""
    Path("in.txt").write_text("seven")
    connected.run("%%gpu A100\nwith open('in.txt') as f, open('out.txt', 'w') as g: g.write(f.read().upper())")
    assert Path("out.txt").read_text() == "SEVEN"


def test_volumes_and_secrets_are_the_hosts(connected: Kernel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command line reaches the connected runtime too; a cell finds the volume and the secret."""
    (tmp_path / "notes.txt").write_text("kept")
    for words in (["secret", "create", "keys", "WORD=hush-hush"], ["volume", "create", "shelf"]):
        assert cellburst(words) in (0, None)
    assert cellburst(["volume", "put", "shelf", str(tmp_path / "notes.txt"), "/notes.txt"]) in (0, None)
    connected.run(
        "%%gpu A100 --volume shelf:/shelf --secret keys\nimport os\n"
        "word = len(os.environ['WORD'])\nwith open('/shelf/notes.txt') as f: note = f.read()"
    )
    assert (connected["word"], connected["note"]) == (9, "kept")


def test_the_next_kernel_is_connected_too(connected: Kernel, host: Host) -> None:
    """The connection is kept for this user; `local` forgets it."""
    assert host.url in connected.run("%gpu_status")
    saved = Path(os.environ["CELLBURST_CONFIG_DIR"]) / "connection.json"
    assert saved.stat().st_mode & 0o777 == 0o600


def test_a_wrong_token_is_one_line(kernel: Kernel, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do, shows no frames of ours, and is not kept."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "cb_" + "x" * 43)
    shown = kernel.fail(f"%gpu_connect {host.url}")
    assert "Unauthorized" in shown
    _one_line(shown)
    assert not (Path(os.environ["CELLBURST_CONFIG_DIR"]) / "connection.json").exists()


def test_nobody_there_is_one_line(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nothing answers says so, with what to look at."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "cb_" + "x" * 43)
    shown = kernel.fail("%gpu_connect http://127.0.0.1:9")
    assert "RuntimeUnreachable" in shown
    assert "No runtime answers at http://127.0.0.1:9" in shown
    _one_line(shown)


def test_large_buffers_from_elsewhere(elsewhere: None, connected: Kernel, host: Host) -> None:
    """20 MB go out as a blob, are changed there, and come home into the same array."""
    before = host.blobs()
    connected.run("import numpy\ndata = numpy.ones(2_500_000); same = data")
    connected.run("%%gpu A100\ndata *= 3\nsize = data.nbytes")
    assert connected["data"] is connected["same"]
    assert connected["size"] == 20_000_000
    assert float(connected["data"].sum()) == 7_500_000.0
    assert host.blobs() - before == 2  # as it went, and as it came back
    connected.run("data[0] = 7")
    connected.run("%%gpu A100\nfirst = float(data[0]); rest = float(data[1:].sum())")
    assert (connected["first"], connected["rest"]) == (7.0, 7_499_997.0)


def test_a_large_handle_from_elsewhere(elsewhere: None, connected: Kernel) -> None:
    """A 20 MB value that stayed is fetched whole."""
    connected.run("%%gpu A100 --leave far\nimport numpy\nfar = numpy.arange(2_500_000)")
    connected.run("near = far.fetch()")
    assert int(connected["near"].sum()) == 2_500_000 * 2_499_999 // 2
    connected["near"][0] = 1  # it is ours to write to


def test_large_files_from_elsewhere(elsewhere: None, connected: Kernel) -> None:
    """Files above what a message carries go as blobs, both ways."""
    content = os.urandom(5_000_000)
    Path("large.bin").write_bytes(content)
    connected.run(
        "%%gpu A100\nfrom pathlib import Path\nn = Path('back.bin').write_bytes(Path('large.bin').read_bytes()[::-1])"
    )
    assert Path("back.bin").read_bytes() == content[::-1]


def test_a_value_moves_from_session_to_session(connected: Kernel, host: Host) -> None:
    """Through the arena: the other session gets the bytes; the notebook has unpickled nothing, and keeps its handle."""
    _moves(connected, host, blobs=0)


def test_a_value_moves_as_blobs_from_elsewhere(elsewhere: None, connected: Kernel, host: Host) -> None:
    """Its blobs are where both sessions find them: none is stored again."""
    _moves(connected, host, blobs=1)


def _moves(kernel: Kernel, host: Host, *, blobs: int) -> None:
    """Let a cell use what another session left; `blobs`: how many the host then has more."""
    kernel.run(
        "%%gpu A100 --leave load\nimport os, numpy\n"
        "class Here:\n    def __reduce__(self): return os.getpid, ()\n"
        "load = {'where': Here(), 'bulk': numpy.arange(2_500_000)[::-1].copy(), 'small': numpy.ones(9)}"
    )
    handle, before = kernel["load"], host.blobs()
    printed = kernel.run(
        "%%gpu cpu\nimport os\n"
        "unpickled_here = load['where'] == os.getpid()\n"
        "total = int(load['bulk'].sum()) + int(load['small'].sum())"
    )
    assert f"load was copied from {handle.info.session}" in printed
    assert host.blobs() - before == blobs
    assert kernel["unpickled_here"]
    assert kernel["total"] == 2_500_000 * 2_499_999 // 2 + 9
    assert kernel["load"] is handle
    assert "copied" not in kernel.run("%%gpu cpu\nlast = int(load['bulk'][0])")
    assert kernel["last"] == 2_499_999


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kernel_bridge.cli.main", *words]


def _one_line(shown: str) -> None:
    """Check that what is shown is one line, without a traceback."""
    assert len(shown.strip().splitlines()) == 1, shown
