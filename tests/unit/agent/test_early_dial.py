"""What is done while a container starts, so that nobody waits for it afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from itertools import islice
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.framing import open_envelope, read_note
from remote_runtime.agent.line import Line
from remote_runtime.linux.huge_pages import collapse_step_by_step


def test_the_line_is_dialled_before_the_child_is_ready_and_says_hello_after(tmp_path: Path) -> None:
    """The connection stands while the child starts; the control plane hears of it when a cell can run."""
    asyncio.run(_dial_and_be_ready(tmp_path))


async def _dial_and_be_ready(tmp_path: Path) -> None:
    dialled, said = asyncio.Event(), asyncio.Queue[str]()

    async def answer(connection: ServerConnection) -> None:
        dialled.set()
        with contextlib.suppress(Exception):
            async for data in connection:
                said.put_nowait(str(read_note(open_envelope(bytes(data))[2])["kind"]))

    path = str(tmp_path / "s")
    async with unix_serve(answer, path):
        config = ContainerConfig(
            container_id="c", session_id="s", epoch="e", control_url=f"unix:{path}", token="t", python="",
            work_dir=str(tmp_path), exit_file=str(tmp_path / "exit.json"), state_dir=str(tmp_path),
        )  # fmt: skip
        ready = asyncio.Event()
        held = asyncio.create_task(Line(config, lambda body: None, lambda note: None).hold(ready))
        await asyncio.wait_for(dialled.wait(), 30)
        assert said.empty()
        ready.set()
        assert await asyncio.wait_for(said.get(), 30) == "agent_hello"
        held.cancel()
        await asyncio.wait([held])


@pytest.mark.skipif(sys.platform != "linux", reason="huge pages are Linux's")
def test_memory_in_huge_pages_holds_what_it_held() -> None:
    """Whether the kernel has any or not."""
    kept = bytearray(b"x" * (8 << 20))
    assert list(islice(collapse_step_by_step(), 4))
    assert kept == b"x" * (8 << 20)
