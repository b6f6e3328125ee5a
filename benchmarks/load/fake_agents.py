"""Agents without containers, in one process: real lines to the control plane, and a reply to every cell at once.

Started by fake_plane.py; reads one container's configuration a line from its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from kernel_bridge.protocol.cells import METADATA_KEY, CellReply
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.messages import SHELL, Message, decode, encode, new_header, peek_channel
from kernel_bridge.protocol.notes import Hibernate, Note, Saved, Stop
from kernel_bridge.protocol.wire import from_wire, to_wire
from remote_runtime.agent.line import Line


class FakeAgent:
    """Answers cells without running them."""

    def __init__(self, config: ContainerConfig) -> None:
        self._config = config
        self._line = Line(config, self._heard, self._heed)
        self._count = 0
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Live until the control plane says stop or turns this container away."""
        ready = asyncio.Event()
        ready.set()  # it has no child to wait for
        holding = asyncio.ensure_future(self._line.hold(ready))
        stopped = asyncio.ensure_future(self._over.wait())
        await asyncio.wait([holding, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in (holding, stopped):
            task.cancel()

    def _heard(self, body: bytes) -> None:
        if peek_channel(body) != SHELL:
            return
        request = decode(body)
        if request.type == "execute_request":
            self._count += 1
            content = {"status": "ok", "execution_count": self._count, "user_expressions": {}, "payload": []}
            metadata = {METADATA_KEY: to_wire(CellReply(epoch=self._config.epoch))}
            header = new_header("execute_reply", "fake")
            self._line.send(encode(Message(SHELL, header, request.header, metadata, content)))

    def _heed(self, said: Note) -> None:
        if isinstance(said, Hibernate):
            self._line.tell(Saved(names=(), lost={}, size_bytes=0, epoch=self._config.epoch))
        elif isinstance(said, Stop):
            self._over.set()


async def main() -> None:
    """Be an agent for every line that is read, until there are no more."""
    reader = asyncio.StreamReader(limit=1 << 20)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    agents: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        config = from_wire(ContainerConfig, json.loads(line))
        task = asyncio.ensure_future(FakeAgent(config).run())
        agents.add(task)
        task.add_done_callback(agents.discard)
    os._exit(0)  # whoever started us is gone


if __name__ == "__main__":
    asyncio.run(main())
