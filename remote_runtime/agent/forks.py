"""The socket on which processes that user code forks ask for what the notebook has."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Final

from kernel_bridge.protocol.framing import Frames, frame
from remote_runtime.agent.unix_path import addressable

_READ_BYTES: Final = 1 << 20

Answer = Callable[[bytes], Awaitable[bytes | None]]


class ForkServer:
    """One request and one answer a connection."""

    def __init__(self, path: str, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        with addressable(self._path) as address:
            self._server = await asyncio.start_unix_server(self._serve, address)
        os.chmod(self._path, 0o600)  # noqa: PTH101 - one system call, before anyone knows the path

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 - a socket, gone or not

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames()
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                for _flags, body in frames.feed(data):
                    answer = await self._answer(body)
                    if answer is not None:
                        writer.writelines(frame([answer]))
                        await writer.drain()
                    writer.close()
                    return
