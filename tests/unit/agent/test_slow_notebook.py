"""A notebook that takes nothing, or is away: the cell waits or goes on, within bounds, and nothing is lost unsaid."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any

from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import CONTROL, Message, new_header

Start = Callable[..., Any]
PRINTS = "import sys\nfor i in range(160): print(str(i) + 'x' * 1_000_000)\n"


def test_a_cell_waits_for_a_notebook_that_takes_nothing(start: Start) -> None:
    """Its next print blocks when the agent keeps enough; it goes on, whole, when the notebook has caught up."""
    container = start()
    container.plane.acknowledges = False
    sent = container.submit(PRINTS)
    early = _until_quiet(container)
    size_bytes = sum(len(message.content.get("text", "")) for message in early)
    assert size_bytes < DEFAULTS.outbox_memory_bytes + (32 << 20)
    assert not any(message.type == "execute_reply" for message in early)
    container.plane.acknowledge()
    reply, _ = container.finish(sent)
    assert reply.content["status"] == "ok"
    text = "".join(m.content["text"] for m in [*early, *container.output] if m.type == "stream")
    assert text == "".join(f"{number}{'x' * 1_000_000}\n" for number in range(160))


def test_a_cell_that_waits_can_be_interrupted(start: Start) -> None:
    """It leaves its print, says how much it left out, and the next cell works."""
    container = start()
    container.plane.acknowledges = False
    sent = container.submit("while True: print('x' * 1_000_000)")
    _until_quiet(container)
    container.interrupt()
    reply, _ = container.finish(sent)
    assert reply.content["ename"] == "KeyboardInterrupt"
    assert "MB of output were left out" in container.text("stderr")
    container.plane.acknowledge()
    container.run("print('again')")
    assert container.text() == "again\n"


def test_the_cell_after_one_that_was_killed_loses_no_output(start: Start) -> None:
    """Only the cell that was interrupted has output left out; the next one waits for the notebook again."""
    container = start()
    container.plane.acknowledges = False
    stubborn = "while True:\n    try:\n        while True: print('x' * 1_000_000)\n    except KeyboardInterrupt: pass"
    sent = container.submit(stubborn)
    _until_quiet(container)
    container.interrupt()
    time.sleep(2.0)  # it prints on, and what it prints is left out
    container.plane.send(Message(CONTROL, new_header("kill_request", "test")))
    container.finish(sent)
    assert "MB of output were left out" in container.text("stderr")
    sent = container.submit(PRINTS)
    early = _until_quiet(container)
    container.plane.acknowledge()
    container.finish(sent)
    text = "".join(m.content["text"] for m in [*early, *container.output] if m.type == "stream")
    assert text == "".join(f"{number}{'x' * 1_000_000}\n" for number in range(160))


def test_a_cell_goes_on_while_nobody_is_there(start: Start) -> None:
    """Without a connection its output goes to a file, and comes back once and in order."""
    container = start()
    container.run("import os")
    container.plane.refuses = True
    sent = container.submit("import time\ntime.sleep(0.5)\n" + PRINTS + "open('done', 'w').close()")
    container.plane.drop()
    done = container.plane.path.parent.glob("session-*/work/done")
    deadline_s = time.monotonic() + 60
    while not list(container.plane.path.parent.glob("session-*/work/done")):
        assert time.monotonic() < deadline_s, f"the cell stands still: {list(done)}"
        time.sleep(0.05)
    container.plane.refuses = False
    container.finish(sent)
    assert container.text() == "".join(f"{number}{'x' * 1_000_000}\n" for number in range(160))


def _until_quiet(container: Any) -> list[Any]:
    """Return what arrives until nothing has come for a while."""
    heard = []
    while True:
        try:
            heard.append(container.plane.messages.get(timeout=2.0))
        except queue.Empty:
            return heard
