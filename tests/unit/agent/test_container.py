"""Cells in a real container."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernel_bridge.protocol.cells import FileEntry, FolderList
from kernel_bridge.protocol.containers import Mount
from kernel_bridge.protocol.notes import Hibernate, Stop

Start = Callable[..., Any]


def test_a_cell_prints_and_answers(start: Start) -> None:
    """What a cell prints arrives before its reply, under its own parent."""
    container = start()
    reply, outcome = container.run("print('hello')\nx = 20 + 1\nx * 2")
    assert reply.content["status"] == "ok"
    assert container.text() == "hello\n"
    assert container.namespace["x"] == 21
    assert outcome.result == "unit"
    assert "execute_result" in container.types()


def test_names_are_paged_on_first_touch(start: Start) -> None:
    """A function reads a name that no analysis saw; it is fetched, and only it."""
    container = start()
    container.namespace.update(needle=[1, 2], hay=[3])
    _, outcome = container.run("def f():\n    return eval('needle')\nclass C:\n    got = needle\nprint(f(), C.got)")
    assert container.text() == "[1, 2] [1, 2]\n"
    assert outcome.paged == ("needle",)


def test_changes_in_place_come_home(start: Start) -> None:
    """A list changed remotely is the same list here, changed."""
    container = start()
    numbers = [1]
    container.namespace.update(numbers=numbers, alias=numbers)
    container.run("numbers.append(2)")
    assert container.namespace["numbers"] is numbers
    assert numbers == [1, 2]
    container.run("numbers.append(3)", may_change=("numbers",))
    assert numbers == [1, 2, 3]


def test_an_array_travels_through_the_arena(start: Start) -> None:
    """A large array goes out and comes home changed, into the same memory."""
    container = start()
    array = np.arange(200_000.0)
    container.namespace["array"] = array
    container.run("array *= 2")
    assert container.namespace["array"] is array
    assert array[10] == 20.0


def test_what_is_too_large_stays_as_a_handle(start: Start) -> None:
    """A value over the write-back limit stays, is described, and is used by the next cell."""
    container = start()
    _, outcome = container.run("import numpy as np\nbig = np.zeros((1000, 1000))", limit_bytes=1 << 20)
    (handle,) = [handle for handle in outcome.handles if handle.name == "big"]
    assert handle.shape == "(1000, 1000)"
    container.run("total = float(big.sum()) + 1", limit_bytes=1 << 20)
    assert container.namespace["total"] == 1.0
    fetched = container.ask("fetch_request", {"key": handle.key, "shared_arena": True})
    assert fetched.content["unit"] is not None


def test_output_of_subprocesses_keeps_its_place(start: Start) -> None:
    """Python's output and a subprocess's output arrive in the order they were written."""
    container = start()
    container.run(
        "import subprocess\nfor i in range(20):\n    print('py', i)\n    subprocess.run(['echo', 'sub', str(i)])"
    )
    expected = "".join(f"py {i}\nsub {i}\n" for i in range(20))
    assert container.text() == expected


def test_what_was_flushed_precedes_what_is_written_to_the_descriptor(start: Start) -> None:
    """`print(flush=True)` and `os.write` right after each other arrive in that order."""
    container = start()
    container.run("import os\nfor i in range(10):\n    print('py', i, flush=True)\n    os.write(1, b'fd %d\\n' % i)")
    assert container.text() == "".join(f"py {i}\nfd {i}\n" for i in range(10))


def test_displays_keep_their_place(start: Start) -> None:
    """A display comes after what was printed before it, held back or not."""
    container = start()
    container.run("from IPython.display import display\nfor i in range(20):\n    print(i)\n    display(i)")
    texts = [m.content.get("text") or m.content["data"]["text/plain"] + "!" for m in container.output]
    assert "".join(texts) == "".join(f"{i}\n{i}!" for i in range(20))


def test_a_hundred_thousand_lines_arrive(start: Start) -> None:
    """No line is lost, flushed or not."""
    container = start()
    container.run("for i in range(100_000): print(i, flush=True)")
    assert container.text() == "".join(f"{i}\n" for i in range(100_000))


def test_an_exception_has_remote_lines(start: Start) -> None:
    """The error shows the cell's line, and what was bound before it comes home."""
    container = start()
    reply, outcome = container.run("kept = 5\ndef boom():\n    return 1 / 0\nboom()")
    assert reply.content["ename"] == "ZeroDivisionError"
    assert any("return 1 / 0" in line or "1" in line for line in reply.content["traceback"])
    assert container.namespace["kept"] == 5
    assert outcome.exception is not None


def test_an_interrupt_stops_the_cell_and_keeps_the_session(start: Start) -> None:
    """Sleep, a loop and an await end within a moment of the interrupt."""
    container = start()
    for code in (
        "import time\nbefore = 1\ntime.sleep(30)",
        "while True: pass",
        "import asyncio\nawait asyncio.sleep(30)",
    ):
        sent = container.submit(code)
        time.sleep(0.4)
        asked_s = time.monotonic()
        container.interrupt()
        reply, _ = container.finish(sent)
        assert reply.content["status"] == "error"
        assert time.monotonic() - asked_s < 2
    assert container.namespace["before"] == 1


def test_a_time_limit_interrupts(start: Start) -> None:
    """At the limit the cell is interrupted and says so."""
    container = start()
    reply, _ = container.run("import time\ntime.sleep(30)", timeout_s=0.3)
    assert reply.content["ename"] == "CellTimeoutError"


def test_a_crash_costs_the_child_only(start: Start) -> None:
    """After os._exit the cell fails with the cause, and the next cell runs in a fresh namespace."""
    container = start()
    container.run("x = 1")
    reply, outcome = container.run("import os\nprint('last words')\nos._exit(3)")
    assert "code 3" in reply.content["evalue"]
    assert "last words" in container.text()
    assert outcome.epoch != "ep_1"
    container.mirror.clear()
    container.namespace.clear()
    reply, _ = container.run("'x' in globals()")
    assert container.output[-1].content.get("data", {}).get("text/plain", "False") or reply
    container.run("import signal, os\nos.kill(os.getpid(), signal.SIGSEGV)")


def test_input_asks_the_notebook(start: Start) -> None:
    """input() shows its prompt in the notebook and returns what is typed there."""
    container = start()
    container.inputs = ["Ada"]
    container.run("name = input('who? ')")
    assert container.namespace["name"] == "Ada"


@pytest.mark.parametrize("session", ["short", "long" * 30])
def test_forked_children_page_and_print(start: Start, session: str) -> None:
    """Workers of multiprocessing read the notebook's names and print, however long the path of their socket is."""
    container = start(session=session)
    container.namespace["offset"] = 100
    code = (
        "import multiprocessing as mp\n"
        "def work(i):\n    print('worker', flush=True)\n    return i + offset\n"
        "with mp.get_context('fork').Pool(2) as pool:\n    got = pool.map(work, range(3))\n"
    )
    reply, _ = container.run(code)
    assert reply.content["status"] == "ok", "\n".join(reply.content["traceback"])
    assert container.namespace["got"] == [100, 101, 102]
    assert container.text().count("worker") == 3


def test_state_survives_hibernation(start: Start) -> None:
    """What was saved is there in the next container: names, aliases and handles."""
    container = start(session="kept")
    container.run("a = [1]\nb = {'a': a}\nimport numpy as np\nbig = np.ones(500_000)", limit_bytes=1 << 20)
    container.plane.tell(Hibernate())
    saved = container.said("saved")
    assert {"a", "b", "big"} <= set(saved.names)
    woken = start(session="kept")
    woken.run("a.append(2)\nshown = (b['a'], float(big.sum()), np.pi > 3)")
    assert woken.namespace["shown"] == ([1, 2], 500_000.0, True)


def test_state_that_was_not_touched_survives_twice(start: Start) -> None:
    """A woken container that hibernates again hands on what nobody restored, as often as it is asked."""
    container = start(session="twice")
    container.run("import numpy as np\nbig = np.ones(500_000)\nsmall = [1]", limit_bytes=1 << 20)
    container.plane.tell(Hibernate())
    container.said("saved")
    woken = start(session="twice")
    woken.run("small.append(2)")
    for _ in range(2):
        woken.plane.tell(Hibernate())
        assert "big" in woken.said("saved").names
    again = start(session="twice")
    again.run("shown = (float(big.sum()), small)")
    assert again.namespace["shown"] == (500_000.0, [1, 2])


def test_state_that_cannot_be_saved_stays_alive(start: Start, tmp_path: Path) -> None:
    """The control plane is told why, and the namespace goes on as it was."""
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    container = start(state_dir=str(blocked))
    container.run("x = 1")
    container.plane.tell(Hibernate())
    assert "NotADirectoryError" in container.said("saved").failed
    container.run("y = x + 1")
    assert container.namespace["y"] == 2


def test_files_written_are_reported_and_missing_ones_fetched(start: Start) -> None:
    """A file the cell writes comes home; the content of one that the notebook has is asked for when it is read."""
    container = start()
    asked: list[str] = []
    container.files = (FolderList(path="", entries=(FileEntry("absent.txt", size_bytes=3),)),)
    container.answers["file_request"] = lambda message: (
        asked.append(message.content["path"]) or container._no_file(message)
    )
    _, outcome = container.run("open('out.txt', 'w').write('hi')\ntry:\n    open('absent.txt')\nexcept OSError: pass")
    assert asked == ["absent.txt"]
    assert [file.path for file in outcome.files] == ["out.txt"]


def test_a_broken_connection_loses_nothing(start: Start) -> None:
    """Output of a cell that runs while the connection is cut arrives once and in order."""
    container = start()
    sent = container.submit("import time\nfor i in range(30):\n    print(i)\n    time.sleep(0.03)")
    time.sleep(0.3)
    container.plane.drop()
    container.finish(sent)
    assert container.text() == "".join(f"{i}\n" for i in range(30))


def test_a_volume_appears_at_its_path(start: Start, tmp_path: Path) -> None:
    """A volume is seen at the path it was asked for, and the working directory at the notebook's."""
    volume, folder = tmp_path / "volume", tmp_path / "notebook"
    volume.mkdir()
    folder.mkdir()
    (folder / "private.txt").write_text("the notebook's own")
    mounts = (Mount(source=str(volume), target="/models"),)
    container = start(mounts=mounts, notebook_directory=str(folder))
    container.run("import os\nopen('/models/m.bin', 'w').write('w')\nhere = os.getcwd(), os.listdir()")
    assert (volume / "m.bin").read_text() == "w"
    assert container.namespace["here"] == (str(folder), [])


def test_the_end_is_written_down(start: Start) -> None:
    """A container that is told to stop writes its cause and time."""
    container = start()
    container.plane.tell(Stop())
    exit_file = Path(container.config.exit_file)
    deadline = time.monotonic() + 10
    while not exit_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert json.loads(exit_file.read_text())["cause"] == "stopped"


def test_a_cell_has_a_home_of_its_own(start: Start) -> None:
    """It is where the environment says, writable, kept with the session, and not the one of this user."""
    start(session="s").run("from pathlib import Path\n(Path.home() / 'kept.txt').write_text('here')")
    second = start(session="s")
    second.run("from pathlib import Path\nfound = (Path.home() / 'kept.txt').read_text()")
    assert second.namespace["found"] == "here"
    assert not (Path.home() / "kept.txt").exists()
