"""What user code may do to its process without ending it, losing state or confusing the notebook."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_bridge.protocol.notes import Hibernate

Start = Callable[..., Any]

_CELLS = {
    "no stdout": "import sys\nsys.stdout = None",
    "an error without stdout": "import sys\nsys.stdout = None\n1 / 0",
    "a closed stdout": "import sys\nsys.stdout = open('log.txt', 'w')\nsys.stdout.close()",
    "descriptors closed": "import os\nos.close(1)\nos.close(2)",
    "a name that is no string": "globals()[1] = 2",
    "a namespace emptied": "globals().clear()",
    "a reduction that exits": "class R:\n    def __reduce__(self): raise SystemExit(3)\nbad = R()",
    "a reduction that interrupts": "class R:\n    def __reduce__(self): raise KeyboardInterrupt\nbad = R()",
    "attributes that fail": "class R:\n    def __getattribute__(self, name): raise RuntimeError(name)\nbad = R()",
    "attributes that exit": "class R:\n    def __getattribute__(self, name): raise SystemExit\nbad = R()",
    "an error without words": "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
    "text that is no Unicode": "print('\\udc80')\nopen('a\\udcff.txt', 'w').close()\nraise ValueError('\\udcff')",
    "exit": "import sys\nsys.exit(3)",
    "no module of builtins": "import sys\nsys.modules.pop('builtins')",
    "a thread that binds names": (
        "import threading\n"
        "def bind():\n    for i in range(100_000): globals()[f'name{i % 500}'] = i\n"
        "threading.Thread(target=bind).start()"
    ),
}


@pytest.mark.parametrize("code", _CELLS.values(), ids=_CELLS.keys())
def test_the_session_survives(start: Start, code: str) -> None:
    """The cell ends, and the next one runs in the same namespace."""
    container = start()
    container.run(code)
    reply, outcome = container.run("print('here')")
    assert reply.content["status"] == "ok"
    assert outcome.epoch == "ep_1"
    assert container.text() == "here\n"


def test_a_forked_process_ends_with_its_cell(start: Start) -> None:
    """A cell that forks goes on in two processes; only the session's own answers, and the other one ends."""
    container = start()
    container.run("import os\npid = os.fork()\nif not pid: import sys; sys.exit(4)\ncode = os.waitpid(pid, 0)[1] >> 8")
    assert container.namespace["code"] == 4
    container.run("pid = os.fork()\nif not pid: theirs = 1\ncode = os.waitpid(pid, 0)[1] >> 8 if pid else None")
    assert container.namespace["code"] == 0
    assert "theirs" not in container.namespace


def test_a_forked_process_is_not_asked_for_input(start: Start) -> None:
    """input() in a process that user code forked says that there is nobody, at once."""
    container = start()
    container.run(
        "import os\npid = os.fork()\n"
        "if not pid:\n    try: input()\n    except EOFError: os._exit(7)\n"
        "code = os.waitpid(pid, 0)[1] >> 8"
    )
    assert container.namespace["code"] == 7


def test_an_interrupt_while_much_is_printed_tears_no_message(start: Start) -> None:
    """What is sent when the interrupt comes is sent whole; the cell ends and the next one works."""
    container = start()
    for _ in range(3):
        sent = container.submit("text = 'x' * 900_000\nwhile True: print(text)")
        time.sleep(0.3)
        container.interrupt()
        reply, _ = container.finish(sent)
        assert reply.content["ename"] == "KeyboardInterrupt"
    container.run("print('whole')")
    assert container.text() == "whole\n"


def test_one_huge_print_arrives(start: Start) -> None:
    """A line larger than a frame arrives, in pieces."""
    container = start()
    container.run("print('x' * (70 << 20))")
    assert len(container.text()) == (70 << 20) + 1


def test_a_subprocess_that_writes_without_end_can_be_interrupted(start: Start) -> None:
    """The agent hears the interrupt although a pipe is never empty."""
    container = start()
    sent = container.submit("import subprocess\nsubprocess.run(['yes'])")
    time.sleep(0.3)
    container.interrupt()
    reply, _ = container.finish(sent)
    assert reply.content["ename"] == "KeyboardInterrupt"


def test_a_value_reads_names_that_came_with_it(start: Start) -> None:
    """Unpickling runs code that needs a later unit of the same message."""
    container = start()
    exec(
        "class A:\n    def __setstate__(self, state):\n        self.seen = eval('helper')\n"
        "a = A()\na.x = 1\nhelper = [42]",
        container.namespace,
    )
    container.namespace.pop("__builtins__")
    container.run("seen = a.seen", ship=("a", "helper"))
    assert container.namespace["seen"] == [42]


def test_saved_state_that_cannot_be_read_stays_saved(start: Start) -> None:
    """A value that fails to come back is told by name, and is there when it can be read."""
    container = start(session="later")
    container.run(
        "import os\n"
        "class A:\n    def __setstate__(self, state):\n"
        "        assert 'READY' in os.environ\n        self.x = state['x']\n"
        "a = A()\na.x = 5",
        leave=("a", "A"),
    )
    container.plane.tell(Hibernate())
    container.said("saved")
    woken = start(session="later")
    reply, _ = woken.run("a.x")
    assert reply.content["status"] == "error"
    assert "rebuilding it raised AssertionError" in reply.content["evalue"]
    woken.run("import os\nos.environ['READY'] = '1'")
    woken.run("x = a.x")
    assert woken.namespace["x"] == 5


def test_builtins_may_be_asked_like_a_module(start: Start) -> None:
    """`hasattr(__builtins__, "__IPYTHON__")` says where the code runs."""
    container = start()
    container.run("inside = hasattr(__builtins__, '__IPYTHON__')")
    assert container.namespace["inside"] is True


def test_a_kernel_that_cannot_start_ends_the_container(start: Start, tmp_path: Path) -> None:
    """It is not started again and again; the exit file says why."""
    (tmp_path / "session-0" / "state" / "index.json").mkdir(parents=True)  # a disk that cannot be read
    container = start(answers=False)
    exit_file = Path(container.config.exit_file)
    deadline_s = time.monotonic() + 20
    while not exit_file.exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert json.loads(exit_file.read_text())["cause"].startswith("its kernel could not start: it exited with code 1")
    assert "IsADirectoryError" in Path(container.config.log_file).read_text()
