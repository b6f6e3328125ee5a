"""Killed between cells and around them: while a value is sent, an environment built, a state saved or woken."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext import writeback
from kernel_bridge.errors import CellburstError
from tests.journeys.broken import Notebook, below, command, in_folder, kill, wait_for
from tests.journeys.test_faults import other_notebook

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(sys.platform != "linux", reason="kills by /proc")]

UPLOAD_BYTES = 200 << 20
ATTEMPTS = 5

# A value whose saving takes as long as a file is there; what is kept of it is a number.
SLOW = """\
import os, time
class Slow:
    def __init__(self, number): self.number = number
    def __reduce__(self):
        if os.path.exists('/shelf/hold'):
            with open('/shelf/saving', 'w'): pass
        while os.path.exists('/shelf/hold'): time.sleep(0.02)
        return Slow, (self.number,)
"""


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """One notebook for all rows: none of them strikes the notebook."""
    with pytest.MonkeyPatch.context() as patch, in_folder(tmp_path_factory.mktemp("faults"), patch) as made:
        yield made


@pytest.fixture
def notebook(lasting: Notebook) -> Notebook:
    """The notebook as it began: no container but its own, whose names are the notebook's, and an empty volume."""
    lasting.shell.run_line_magic("gpu_reset", "")
    with lasting.plane() as plane:
        for session in plane.sessions():
            if session.state != "closed":
                plane.reset_session(session.id)
    for name in ("far", "first", "number", "seen"):
        lasting.names.pop(name, None)
    for file in shelf(lasting).iterdir():
        file.unlink()
    assert lasting.run("before = [1]").success
    return lasting


def test_what_was_printed_waits_for_an_absent_notebook(notebook: Notebook, tmp_path: Path) -> None:
    """A cell ends and its idle window passes while its notebook is away: it finds every line, and the result."""
    cell = "import time\nfor i in range(10):\n    print(i, flush=True)\n    time.sleep(0.1)\nprint('end')"
    with other_notebook(tmp_path, cell, "--idle 1s") as it:
        assert it.stdout is not None
        assert it.stdout.readline() == "0\n"
        os.kill(it.pid, signal.SIGSTOP)
        kill(notebook.runtime_pid())  # its line breaks, and it does not dial again
        with notebook.plane() as plane:
            [session] = [one for one in plane.sessions() if one.spec.idle_after_s == 1.0]
            wait_for(lambda: plane.session(session.id).container_state == "idle", "the cell goes on")
            time.sleep(2)
            assert plane.session(session.id).container_state == "idle"
        os.kill(it.pid, signal.SIGCONT)
        heard = it.stdout.read()
        with notebook.plane() as plane:
            wait_for(lambda: plane.session(session.id).state != "open", "it stays for ever")
    assert heard == "".join(f"{number}\n" for number in range(1, 10)) + "end\n"


@pytest.mark.slow
def test_the_control_plane_is_killed_during_an_upload(elsewhere: None, notebook: Notebook) -> None:
    """The cell does not run and says so in a line, or runs once; nothing of half a value stays, and it works again."""
    incoming = notebook.folder / "data" / "blobs" / "incoming"
    notebook.names["big"] = bytes(UPLOAD_BYTES)

    def strike() -> None:
        wait_for(lambda: any(incoming.iterdir()), "nothing was sent")
        kill(notebook.runtime_pid())

    code = "with open('/shelf/ran', 'a') as f: n = f.write('x')\nsize = len(big)"
    result = during(lambda: notebook.run(code), strike)
    if not result.success:
        assert_one_line(result)
        assert notebook.ran() == 0
        assert notebook.run(code).success
    assert notebook.names["size"] == UPLOAD_BYTES
    assert notebook.ran() == 1
    assert list(incoming.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "image"), [("uv", "debian_slim()"), ("control plane", "debian_slim().pip_install('six')")]
)
def test_a_build_is_killed(notebook: Notebook, victim: str, image: str) -> None:
    """What was half built is never used and does not stay; the cell works, at the latest when it is run again."""
    images = notebook.folder / "data" / "images"

    def strike() -> None:
        runtime = notebook.runtime_pid()
        found: list[int] = []
        wait_for(lambda: bool(found.extend(installing(runtime)) or found), "nothing is installed")
        kill(*(found if victim == "uv" else [runtime]))

    line = f"%%gpu A100 --quiet --image __import__('cellburst').Image.{image}\n"
    result = during(lambda: notebook.shell.run_cell(f"{line}import sys\nwhere = sys.prefix"), strike)
    if not result.success:
        assert_one_line(result)
    again = notebook.shell.run_cell(f"{line}import sys, ipykernel\nwhere = sys.prefix\nthere = ipykernel.__version__")
    assert again.success
    assert str(images / "env") in notebook.names["where"]
    wait_for(lambda: not [path for path in (images / "tmp").iterdir() if path.is_dir()], "half an environment stays")


@pytest.mark.parametrize("victim", ["agent", pytest.param("control plane", marks=pytest.mark.slow)])
def test_a_hibernation_is_killed(notebook: Notebook, victim: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a state never takes the place of a whole one; what comes back older than it was is told with its time."""
    cell = "%%gpu A100 --quiet --volume shelf:/shelf --leave far\n"
    assert notebook.shell.run_cell(f"{cell}{SLOW}far = Slow(1)").success
    hibernate(notebook)
    assert notebook.shell.run_cell(f"{cell}first = far.number\nfar = Slow(2)\nbefore.append(2)").success
    assert notebook.names["first"] == 1
    hold = shelf(notebook) / "hold"
    hold.touch()

    def strike() -> None:
        wait_for((shelf(notebook) / "saving").exists, "it does not save")
        if victim == "agent":
            kill(notebook.agent())
        else:
            kill(notebook.runtime_pid())
            notebook.plane().close()  # another takes its place
        hold.unlink()

    during(lambda: hibernate(notebook, surely=False), strike)
    seen = notebook.shell.run_cell(f"{cell}number = far.number")
    if victim == "control plane":
        hibernate(notebook)
        assert notebook.shell.run_cell(f"{cell}number = far.number").success
        assert notebook.names["number"] == 2
    else:
        assert seen.success
        assert notebook.names["number"] == 1
        assert "as they were saved at" in capsys.readouterr().err
    assert notebook.run("before.append(3)").success
    assert notebook.names["before"] == [1, 2, 3]


def test_a_container_is_killed_while_it_wakes(notebook: Notebook) -> None:
    """What hibernated is still there, and the next cell wakes with it."""
    cell = "%%gpu A100 --quiet --volume shelf:/shelf --leave far\n"
    for _ in range(ATTEMPTS):  # one that had said hello by then takes its state along: another row
        assert notebook.shell.run_cell(f"{cell}far = {{'number': 1}}").success
        zygote = notebook.zygote()
        hibernate(notebook)
        strike = partial(kill_what_begins, zygote, set(below(zygote)))
        result = during(lambda: notebook.shell.run_cell(f"{cell}number = far['number']"), strike)
        if result.success or any(word in str(result.error_in_exec) for word in ("at once", "while it started")):
            break
    if not result.success:
        assert_one_line(result)
    assert notebook.shell.run_cell(f"{cell}number = far['number']").success
    assert notebook.names["number"] == 1


@pytest.mark.parametrize(
    "moment", ["the reply is in the container", pytest.param("the reply is here", marks=pytest.mark.slow)]
)
def test_the_control_plane_is_killed_before_write_back(
    notebook: Notebook, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the cell changed in place is changed once."""
    notebook.names["counter"] = counter = {"n": 0}
    code = "import os, time\nwith open('/shelf/ran', 'a') as f: n = f.write('x')\n"
    code += "while not os.path.exists('/shelf/go'): time.sleep(0.02)\n"
    code += "counter['n'] += 1\nwith open('/shelf/done', 'w'): pass"
    bring_home = writeback.bring_home

    def struck(*arguments: Any) -> Any:
        monkeypatch.setattr(writeback, "bring_home", bring_home)
        kill(notebook.runtime_pid())
        return bring_home(*arguments)

    def strike() -> None:
        wait_for(lambda: notebook.ran() == 1, "the cell did not begin")
        runtime = notebook.runtime_pid()
        if moment == "the reply is here":
            (shelf(notebook) / "go").touch()
            return
        os.kill(runtime, signal.SIGSTOP)
        (shelf(notebook) / "go").touch()
        wait_for((shelf(notebook) / "done").exists, "the cell did not end")
        time.sleep(0.2)
        kill(runtime)

    if moment == "the reply is here":
        monkeypatch.setattr(writeback, "bring_home", struck)
    result = during(lambda: notebook.run(code), strike)
    assert result.success, result.error_in_exec
    assert notebook.names["counter"] is counter
    assert (counter, notebook.ran()) == ({"n": 1}, 1)
    assert notebook.run("counter['n'] += 1").success
    assert counter == {"n": 2}


def test_another_notebook_takes_the_session_over(notebook: Notebook, tmp_path: Path) -> None:
    """The first is told so in a line; its cell goes on, once, the other's comes after it; its next takes it back."""
    options = "--session shared --volume shelf:/shelf"
    code = "import os, time\ntrace = ['first']\nwith open('/shelf/ran', 'a') as f: n = f.write('x')\n"
    code += "while not os.path.exists('/shelf/go'): time.sleep(0.02)\ntrace.append('ended')"
    heard: list[str] = []

    def first() -> Any:
        result = notebook.shell.run_cell(f"%%gpu A100 --quiet {options}\n{code}")
        (shelf(notebook) / "go").touch()
        return result

    def strike() -> None:
        wait_for(lambda: notebook.ran() == 1, "the cell did not begin")
        with other_notebook(tmp_path, "print(trace)\ntrace.append('other')", options) as other:
            heard.append(other.stdout.read())

    result = during(first, strike)
    assert_one_line(result)
    assert "taken this session over" in str(result.error_in_exec)
    assert heard == ["['first', 'ended']\n"]
    assert notebook.shell.run_cell(f"%%gpu A100 --quiet {options}\nseen = list(trace)").success
    assert notebook.names["seen"] == ["first", "ended", "other"]
    assert notebook.ran() == 1


def during(work: Callable[[], Any], strike: Callable[[], None]) -> Any:
    """Do something in this thread while another one strikes; what the striker could not do fails the test."""
    with ThreadPoolExecutor(1) as pool:
        striking = pool.submit(strike)
        result = work()
        striking.result(90)
    return result


def assert_one_line(result: Any) -> None:
    """What went wrong is an error of ours, and a line."""
    assert isinstance(result.error_in_exec, CellburstError)
    assert "\n" not in str(result.error_in_exec).strip()


def shelf(notebook: Notebook) -> Path:
    """Return where the volume's files lie."""
    [found] = [path for path in (notebook.folder / "data").glob("volumes/**/shelf") if path.is_dir()]
    return found


def hibernate(notebook: Notebook, *, surely: bool = True) -> None:
    """Have the session's state saved; `surely` where nothing should go wrong."""
    with notebook.plane() as plane:
        [session] = [one for one in plane.sessions() if one.state != "closed"]
        try:
            info = plane.stop_session(session.id)
        except CellburstError:
            assert not surely
        else:
            assert not surely or info.state == "hibernated"


def installing(runtime: int) -> list[int]:
    """Return the processes of uv that install packages."""
    return [pid for pid in below(runtime) if "/uv " in command(pid) and " pip install" in command(pid)]


def kill_what_begins(zygote: int, known: set[int]) -> None:
    """Kill the next container that is forked, before it can do much."""
    begun: set[int] = set()
    wait_for(lambda: bool(begun.update(below(zygote)) or begun - known), "no container came", every_s=0.001)
    kill(*(begun - known))
