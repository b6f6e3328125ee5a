"""Tokens, descriptors, environments and sockets: what of the runtime's could be found in a cell's own process."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import pytest

from tests.security.intruders import Intruder

pytestmark = pytest.mark.timeout(180)

SCAN: Final = """
import re
found = set()
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
    for line in maps.read().splitlines():
        if line.split()[1][0] != "r" or "[v" in line:
            continue
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        try:
            memory.seek(start)
            data = memory.read(end - start)
        except (OSError, OverflowError):
            continue
        found |= {one.decode() for one in re.findall(PATTERN, data)}
result = sorted(found)
"""
DESCRIPTORS: Final = """
import os, stat, socket
result = []
for name in os.listdir("/proc/self/fd"):
    try:
        found, kind = os.fstat(int(name)), os.readlink("/proc/self/fd/" + name)
    except OSError:
        continue
    if stat.S_ISSOCK(found.st_mode):
        with socket.socket(fileno=os.dup(int(name))) as sock:
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            kind = f"{sock.family.name} {'listens' if listens else sock.getpeername() or 'pair'}"
    result.append([int(name), kind])
"""
CONNECTS: Final = """
import socket
result = {}
for path in SOCKETS:
    with socket.socket(socket.AF_UNIX) as sock:
        result[path] = attempt(sock.connect, path)
"""


def test_no_token_is_in_a_cells_memory(intruder: Intruder) -> None:
    """Neither its container's, nor the notebook's: the process it was forked from never read one."""
    outcomes = intruder.cell(f"PATTERN = rb'cb_[A-Za-z0-9_-]' + rb'{{43}}'\n{SCAN}", session="scanned")
    assert outcomes == []
    marked = "PATTERN = rb'cb_' + rb'[a]' * 43\nmine = 'cb_' + 'a' * 43\n"
    assert intruder.cell(marked + SCAN, session="scanned") == ["cb_" + "a" * 43]  # it would be found


def test_the_environment_and_arguments_hold_no_secret(intruder: Intruder) -> None:
    """Not in its own, nor in those of any process that it can see."""
    code = """
import glob, os
names = glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline")
result = [read(name, 1 << 16) for name in names] + [f"{name}={value}" for name, value in os.environ.items()]
"""
    text = "\n".join(intruder.cell(code))
    assert not re.search(r"cb_[A-Za-z0-9_-]{20,}|CELLBURST_|TOKEN|MASTER_KEY", text)


def test_only_its_own_descriptors_are_open(intruder: Intruder) -> None:
    """Its streams, its pipe to the agent, its event loop: no directory, no file of a control group, no listener."""
    kinds = intruder.cell(DESCRIPTORS, session="fresh")
    assert len(kinds) <= 12
    for number, kind in kinds:
        assert kind == "/dev/null" or kind.startswith(("pipe:", "anon_inode:[event")) or kind == "AF_UNIX pair", (
            number,
            kind,
        )
    assert [kind for number, kind in kinds if kind.startswith("pipe:") and number > 2] == []
    assert len([kind for _, kind in kinds if kind == "anon_inode:[eventpoll]"]) <= 1


def test_no_socket_of_the_runtime_answers(intruder: Intruder) -> None:
    """Not the control plane's, not the agents' door, not the zygotes', not another session's agent."""
    assert intruder.works("victim")
    sockets = [str(path) for path in _sockets(intruder.folder)]
    assert len(sockets) >= 4
    outcomes = intruder.cell(f"SOCKETS = {sockets!r}\n{CONNECTS}")
    reached = [path for path, said in outcomes.items() if said not in ("ENOENT", "EACCES", "EPERM")]
    own = intruder.cell("result = [line.split()[4] for line in open('/proc/self/mountinfo')]")
    assert all(str(Path(path).parent) in own and path.endswith("/run/agent.sock") for path in reached)
    assert len(reached) <= 1
    abstract = [
        line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if f"@{intruder.folder}" in line
    ]
    assert abstract == []
    assert os.path.lexists(intruder.folder)


def _sockets(folder: Path) -> list[Path]:
    found = [Path(top, name) for top, _, names in os.walk(folder) for name in names if "/work/" not in top]
    return [path for path in found if path.is_socket()]  # false for what went away meanwhile
