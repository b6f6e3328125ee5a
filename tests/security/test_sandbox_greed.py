"""A cell that takes all it can of what is counted leaves enough for others. Memory, disk: `journeys/test_limits.py`."""

from __future__ import annotations

from typing import Final

import pytest

from tests.security.intruders import Intruder

pytestmark = pytest.mark.timeout(180)

TAKE: Final = """
import errno, os, socket
def take(make, held):
    try:
        while len(held) < 1 << 20:
            held.append(make())
    except OSError as error:
        return [len(held), errno.errorcode[error.errno]]
terminals, files, sockets = [], [], []
result = {"terminals": take(os.openpty, terminals), "files": take(lambda: os.open("/dev/null", 0), files)}
for number in files:
    os.close(number)
result["sockets"] = take(socket.socketpair, sockets)
for pair in sockets:
    pair[0].close(), pair[1].close()
"""
LIVE: Final = """
import os, socket, subprocess
first, second = os.openpty()
pair = socket.socketpair()
result = [os.isatty(second), subprocess.check_output(["echo", "fine"], text=True)]
pair[0].close(), pair[1].close()
os.close(first), os.close(second)
"""


def test_what_is_counted_runs_out_for_the_taker_alone(intruder: Intruder) -> None:
    """Terminals, open files, sockets: another session has its own, while the greedy one holds on."""
    assert intruder.works("victim")
    taken = intruder.cell(TAKE, session="greedy")
    assert taken["terminals"] == [512, "ENOSPC"]
    assert taken["files"][1] == "EMFILE"
    assert taken["sockets"][1] in ("EMFILE", "ENFILE", "ENOBUFS")
    assert intruder.cell(LIVE, session="victim") == [True, "fine\n"]
    assert intruder.works("greedy")
