"""Memory is watched from outside where no control group bounds it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from remote_runtime.agent.memory import held_bytes, watch_memory

MIB = 1 << 20
HOLD = "import sys\nheld = bytearray(b'x') * (80 << 20)\nprint('up', flush=True)\nsys.stdin.read()"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_held_below_a_process_is_added_up() -> None:
    """Children count, the one that asks does not; shared pages are told apart above the limit."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        others = held_bytes(os.getpid(), but=child.pid)  # whatever else this test run has started
        assert held_bytes(os.getpid(), but=0, enough_bytes=1 << 60) > others + 80 * MIB
        assert held_bytes(os.getpid(), but=0) > others + 80 * MIB
        child.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_cell_over_its_limit_is_ended_with_limit_and_use() -> None:
    """Only while one runs."""
    said: list[str] = []

    async def story() -> None:
        over = asyncio.Event()

        def heard(why: str) -> None:
            said.append(why)
            over.set()

        idle = asyncio.create_task(watch_memory(os.getpid(), 1, lambda: False, said.append))
        busy = asyncio.create_task(watch_memory(os.getpid(), 1, lambda: True, heard))
        async with asyncio.timeout(30):
            await over.wait()
        for task in (idle, busy):
            task.cancel()

    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        asyncio.run(story())
        child.communicate()
    assert len(said) == 1
    assert said[0].startswith("it ran out of memory: limit 1 bytes, it held ")
