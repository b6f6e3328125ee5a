"""Trying things out where they do no harm: in a forked child, and for a limited time."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable, Mapping
from typing import Final

CHILD_S: Final = 10.0
_ANSWER_BYTES: Final = 1 << 16

Outcomes = dict[str, str]  # what was tried -> empty when it worked, else why not


def in_child(work: Callable[[Outcomes], None], timeout_s: float = CHILD_S) -> Outcomes:
    """Run `work` in a forked child, which may change what it likes of itself; return what it noted.

    Steps are noted by `attempt`; `died` says why a child noted less than it should have.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work_and_tell(work, writing)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], timeout_s)
        told = os.read(reading, _ANSWER_BYTES) if ready else b""
    finally:
        os.close(reading)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    if not told:
        return {"died": f"the trial ended with {os.waitstatus_to_exitcode(status)}"}
    outcomes: Outcomes = json.loads(told)
    return outcomes


def attempt(outcomes: Outcomes, name: str, step: Callable[[], object]) -> bool:
    """Do one step and note how it went; False when it raised OSError."""
    try:
        step()
    except OSError as error:
        outcomes[name] = error.strerror or str(error)
        return False
    outcomes[name] = ""
    return True


def worked(outcomes: Mapping[str, str], *names: str) -> bool:
    """Tell whether all of these were tried and worked."""
    return all(outcomes.get(name, "not tried") == "" for name in names)


def why(outcomes: Mapping[str, str], *names: str) -> str:
    """Return the first of these that did not work, with the system's reason."""
    failed = ((name, outcomes.get(name, outcomes.get("died", "not tried"))) for name in names)
    return next((f"{name}: {reason}" for name, reason in failed if reason), "")


def _work_and_tell(work: Callable[[Outcomes], None], writing: int) -> None:
    outcomes: Outcomes = {}
    try:
        work(outcomes)
    except BaseException as error:  # noqa: BLE001 - the border of a process
        outcomes["died"] = str(error) or type(error).__name__
    finally:
        os.write(writing, json.dumps(outcomes).encode())
        os._exit(0)
