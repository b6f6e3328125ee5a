"""What a sleep costs is said before and after it, and what cannot be saved is made again."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.errors import NotFound
from tests.state.waking import error_of, remotely, state_folder

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def fresh(shell: InteractiveShell) -> None:
    """A session without the names of the tests before."""
    with contextlib.suppress(NotFound):
        shell.run_line_magic("gpu_reset", "")
    shell.run_line_magic("reset", "-f")


def test_what_cannot_be_saved_is_named(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """In the status, before the stop and after it, by name and reason; the cell that touches it is told why."""
    remotely(shell, "import sqlite3\nconn = sqlite3.connect(':memory:')\nkept = [1]")
    capsys.readouterr()
    shell.run_line_magic("gpu_status", "")
    assert "conn is a database connection" in capsys.readouterr().out
    shell.run_line_magic("gpu_stop", "")
    before, _, after = capsys.readouterr().out.partition("stopped; kept")
    assert "conn is a database connection" in before
    assert "conn is a database connection" in after
    assert "kept" in after
    shell.run_line_magic("gpu_status", "")
    assert " B until " in capsys.readouterr().out.replace("KB", "B")
    remotely(shell, "kept.append(2)")  # a cell that does not touch it runs
    error = error_of(shell.run_cell("%%gpu A100\nconn.execute('select 1')"))
    assert "could not be saved when the session hibernated" in str(error)
    remotely(shell, "conn = sqlite3.connect(':memory:')\none = conn.execute('select 1').fetchone()")
    assert shell.user_ns["one"] == (1,)


def test_what_runs_by_itself_is_named(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """Tasks, threads and processes of the user's end with the container: each is named."""
    remotely(
        shell,
        "import asyncio, subprocess, threading\nasync def poll(): await asyncio.sleep(600)\n"
        "task = asyncio.create_task(poll())\nevent = threading.Event()\n"
        "threading.Thread(target=lambda: event.wait(600), name='watcher', daemon=True).start()\n"
        "child = subprocess.Popen(['sleep', '600'])",
    )
    capsys.readouterr()
    shell.run_line_magic("gpu_stop", "")
    said = capsys.readouterr().out
    for name in ("asyncio task poll", "thread watcher", "(sleep 600)"):
        assert name in said


def test_functions_make_it_again(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """`on_wake` functions run in order before the first cell that wakes, and see the notebook's names."""
    shell.run_cell("import cellburst as cb\nwords = ['here']")
    shell.run_cell("@cb.on_wake\ndef connect():\n    global conn\n    import sqlite3\n"
                   "    conn = sqlite3.connect(':memory:'); print('connected', words)")  # fmt: skip
    remotely(shell, "import cellburst as cb\nconnect()\n@cb.on_wake\nasync def greet(): print('greeted')")
    assert list(shell.user_ns["_cellburst_on_wake"]) == ["connect", "greet"]
    shell.run_line_magic("gpu_stop", "")
    capsys.readouterr()
    remotely(shell, "one = conn.execute('select 1').fetchone()\nprint('cell')")
    assert shell.user_ns["one"] == (1,)
    said = capsys.readouterr().out
    assert "connected ['here']\ngreeted\ncell\n" in said
    remotely(shell, "print('again')")
    assert "connected" not in capsys.readouterr().out


def test_a_function_that_fails_is_tried_again(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown by its name, the cell runs, the state is there, and the next cell runs it again: and no other."""
    shell.run_cell("import cellburst as cb\nready = []")
    shell.run_cell("@cb.on_wake\ndef login():\n    assert ready, 'nobody there'\n    ready.append('in')")
    shell.run_cell("@cb.on_wake\ndef fine(): print('fine')")
    remotely(shell, "kept = [1]")
    shell.run_line_magic("gpu_stop", "")
    capsys.readouterr()
    remotely(shell, "kept.append(2)")
    out = capsys.readouterr()
    assert "on_wake login failed" in out.err
    assert "nobody there" in out.err
    assert "fine" in out.out
    assert shell.user_ns["kept"] == [1, 2]
    shell.run_cell("ready = ['now']")
    remotely(shell, "pass")
    out = capsys.readouterr()
    assert "failed" not in out.err and "fine" not in out.out
    assert shell.user_ns["ready"] == ["now", "in"]


def test_they_run_in_a_container_that_replaces_a_lost_one(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when its process died: what lived there only is as it was saved last, and the cell says so."""
    shell.run_cell("import cellburst as cb\n@cb.on_wake\ndef hello(): print('hello')")
    remotely(shell, "model = list(range(100))", "--leave model")
    shell.run_line_magic("gpu_stop", "")
    remotely(shell, "model.append('unsaved')", "--leave model")
    assert error_of(shell.run_cell("%%gpu A100\nimport os; os._exit(3)")) is not None
    capsys.readouterr()
    remotely(shell, "size = len(model)")
    assert shell.user_ns["size"] == 100
    said = capsys.readouterr().out
    assert "hello" in said
    assert "as they were saved at" in said


def test_losses_of_an_idle_session_are_told_by_the_next_cell(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody was asked: the footer says what did not survive, once."""
    remotely(shell, "import sqlite3\nconn = sqlite3.connect(':memory:')")
    session = next(iter(shell.magics_manager.registry["GpuMagics"].sessions))
    session.control_plane.stop_session(session.info.id)  # as the reconciler does, without the magic
    capsys.readouterr()
    remotely(shell, "pass")
    assert "not kept while the session slept: conn is a database connection" in capsys.readouterr().out
    remotely(shell, "pass")
    assert "not kept" not in capsys.readouterr().out


@pytest.mark.slow
def test_waking_is_lazy(shell: InteractiveShell) -> None:
    """What no cell touches is not even there to be read; what was not changed is not written again."""
    remotely(shell, "import numpy as np\nbig = np.arange(25_000_000)\nsmall = [1]", "--leave big")
    shell.run_line_magic("gpu_stop", "")
    [buffer] = large_files()
    inode = buffer.stat().st_ino
    hidden = buffer.rename(buffer.with_name("hidden"))
    remotely(shell, "small.append(2)")
    hidden.rename(buffer)
    shell.run_line_magic("gpu_stop", "")
    remotely(shell, "total = int(big[-1])", "--leave big")
    assert (shell.user_ns["small"], shell.user_ns["total"]) == ([1, 2], 24_999_999)
    shell.run_line_magic("gpu_stop", "")
    assert [file.stat().st_ino for file in large_files()] == [inode]
    remotely(shell, "big[0] = 7", "--leave big")
    shell.run_line_magic("gpu_stop", "")
    assert [file.stat().st_ino for file in large_files()] != [inode]


def test_state_of_another_format_is_one_line(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """The session starts empty and says why; the notebook's own values are sent anew."""
    shell.run_cell("mine = [1]")
    remotely(shell, "mine.append(2)")
    shell.run_line_magic("gpu_stop", "")
    index = state_folder() / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"format": 99}))
    capsys.readouterr()
    remotely(shell, "mine.append(3)")
    said = capsys.readouterr().out
    assert "format 99" in said
    assert "Traceback" not in said
    assert shell.user_ns["mine"] == [1, 2, 3]


def large_files() -> list[Path]:
    """Return the files of the saved state that are large."""
    return [file for file in state_folder().rglob("*") if file.is_file() and file.stat().st_size > 1 << 20]


def test_a_function_without_a_name_is_refused(shell: InteractiveShell) -> None:
    """What could not be named when it fails is not taken."""
    error = error_of(shell.run_cell("import cellburst as cb\ncb.on_wake(lambda: None)"))
    assert type(error).__name__ == "BadOption"
