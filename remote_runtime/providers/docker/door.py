"""Where a container's first process is told what it is: a socket in the container's own folder.

So the token and the secrets are in no list of arguments, no variable an engine would show, and on no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.containers import ContainerConfig
from remote_runtime.providers.docker.inside import DOOR_SOCKET
from remote_runtime.providers.requests import Request, request

_LOOK_AGAIN_S: Final = 0.25
_WITHIN_S: Final = 120.0  # from its start to its question: a cold disk, a large image
_ANSWER_S: Final = 60.0
_NOTICED_S: Final = 5.0


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[socket.socket]:
    """Listen in a folder, however long its path is; the socket is gone afterwards."""
    path = folder / DOOR_SOCKET
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/{DOOR_SOCKET}")
        path.chmod(0o600)
        listener.listen(1)
        listener.setblocking(False)
        yield listener
    finally:
        os.close(descriptor)
        listener.close()
        path.unlink(missing_ok=True)


async def tell(listener: socket.socket, config: ContainerConfig, ended: Callable[[], Awaitable[str]]) -> None:
    """Wait until the container asks, and tell it; raises StartFailed with why it ended where it did."""
    connection = await _asked(listener, ended)
    with connection:
        try:
            await asyncio.to_thread(_hand, connection, config)
        except (OSError, ValueError) as error:
            why = await _told(ended) or f"it did not listen: {error}"
            raise StartFailed(f"The container ended at once: {why}.") from error


async def _asked(listener: socket.socket, ended: Callable[[], Awaitable[str]]) -> socket.socket:
    # One wait for the whole time: one that is given up and begun again may lose who came just then.
    asking = asyncio.ensure_future(asyncio.get_running_loop().sock_accept(listener))
    try:
        for _ in range(int(_WITHIN_S / _LOOK_AGAIN_S)):
            await asyncio.wait([asking], timeout=_LOOK_AGAIN_S)
            if asking.done():
                return asking.result()[0]
            if why := await ended():
                raise StartFailed(f"The container ended at once: {why}.")
    finally:
        asking.cancel()
    raise StartFailed(f"The container did not start within {_WITHIN_S:.0f} s.")


async def _told(ended: Callable[[], Awaitable[str]]) -> str:
    """Give the engine a moment to notice what hung up on us."""
    for _ in range(int(_NOTICED_S / _LOOK_AGAIN_S)):
        if why := await ended():
            return why
        await asyncio.sleep(_LOOK_AGAIN_S)
    return ""


def _hand(connection: socket.socket, config: ContainerConfig) -> None:
    connection.settimeout(_ANSWER_S)
    with connection.makefile("rb") as lines, request(config, ()) as asked:
        if lines.readline() != b"ready\n":
            raise ValueError("it has nothing to run")
        _send(connection, asked)
        if not lines.readline():
            raise ValueError("it did not understand")


def _send(connection: socket.socket, asked: Request) -> None:
    sent = socket.send_fds(connection, [asked.text], list(asked.descriptors))
    if rest := asked.text[sent:]:
        connection.sendall(rest)
