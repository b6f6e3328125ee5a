"""Notebooks by the hundred in one event loop, each on a websocket of its own, speaking the client's real protocol."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from kernel_bridge.client.conversation import Conversation
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.websocket import DirectConnection, dial
from kernel_bridge.protocol.cells import METADATA_KEY, CellRequest
from kernel_bridge.protocol.messages import SHELL, Buffer, Message, encode, new_header
from kernel_bridge.protocol.notes import PeerUp, Refused, Welcome
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec
from kernel_bridge.protocol.wire import to_wire

PATIENCE_S: Final = 120.0
_AT_ONCE: Final = 16  # threads that open sessions

_ACK_AFTER_S: Final = 0.05


class LoadFailed(Exception):
    """A session under load was refused, or got no answer."""


@dataclass
class Times:
    """Seconds, by what was waited for."""

    opened: list[float] = field(default_factory=list)  # the request for a session
    up: list[float] = field(default_factory=list)  # from wanting a container until it answers
    cells: list[float] = field(default_factory=list)


class Client:
    """One notebook."""

    def __init__(self, info: SessionInfo) -> None:
        self.info = info
        self._conversation = Conversation()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._connection: DirectConnection | None = None
        self._ack: asyncio.TimerHandle | None = None
        self.epoch = ""

    async def connect(self, plane: ControlPlane) -> None:
        """Dial and say hello."""
        path = f"/v1/sessions/{self.info.id}/channel"
        self._connection = await dial(plane.address, path, self._received)
        for data in self._conversation.opening():
            self._connection.send_now(data)

    async def wake(self) -> None:
        """Ask for a container and wait until it answers."""
        self._say(self._conversation.wake())
        self.epoch = await asyncio.wait_for(asyncio.shield(self._up), PATIENCE_S)

    async def run(self, code: str = "x = 1") -> None:
        """Run a cell and wait for its reply."""
        header = new_header("execute_request", "load")
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        metadata = {METADATA_KEY: to_wire(CellRequest(epoch=self.epoch))}
        message = Message(SHELL, header, metadata=metadata, content=content)
        replied = self._waiting[message.id] = asyncio.get_running_loop().create_future()
        self._conversation.push(b"".join(encode(message)), message.id)
        self._flush()
        await asyncio.wait_for(replied, PATIENCE_S)

    async def close(self) -> None:
        """Hang up."""
        if self._ack is not None:
            self._ack.cancel()
        if self._connection is not None:
            await self._connection.close()

    def _received(self, _connection: DirectConnection, data: Buffer) -> None:
        for event in self._conversation.receive(data):
            if isinstance(event, PeerUp) and not self._up.done():
                self._up.set_result(event.epoch)
            elif isinstance(event, Refused) and not self._up.done():
                self._up.set_exception(LoadFailed(f"{event.code}: {event.detail}"))
            elif isinstance(event, Welcome):
                continue
            elif isinstance(event, Message) and event.type == "execute_reply":
                self._replied(event)
        self._flush()
        if self._ack is None:
            self._ack = asyncio.get_running_loop().call_later(_ACK_AFTER_S, self._acknowledge)

    def _replied(self, reply: Message) -> None:
        waiting = self._waiting.pop(reply.parent_id, None)
        if waiting is None or waiting.done():
            return
        if reply.content.get("status") == "ok":
            waiting.set_result(None)
        else:
            waiting.set_exception(LoadFailed(str(reply.content)))

    def _acknowledge(self) -> None:
        self._ack = None
        self._say(self._conversation.acknowledgement(idle=True))

    def _flush(self) -> None:
        for data in self._conversation.outgoing():
            self._say(data)

    def _say(self, data: bytes | None) -> None:
        if data is not None and self._connection is not None:
            self._connection.send_now(data)


async def bring_up(plane: ControlPlane, specs: Sequence[SessionSpec], times: Times) -> list[Client]:
    """Open all sessions and wake them, all at once; return the clients when every container answers."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []

    def opened(spec: SessionSpec) -> SessionInfo:
        began_s = time.perf_counter()
        info = plane.open_session(spec)
        times.opened.append(time.perf_counter() - began_s)
        return info

    async def one(spec: SessionSpec, pool: ThreadPoolExecutor) -> None:
        client = Client(await loop.run_in_executor(pool, opened, spec))
        await client.connect(plane)
        clients.append(client)
        times.up.append(await _timed(client.wake))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        await asyncio.gather(*(one(spec, pool) for spec in specs))
    return clients


async def run_cells(clients: Sequence[Client], cells: int, pause_s: float, times: Times) -> float:
    """Have every client run cells, with a pause of random length around `pause_s` before each; return the seconds.

    A pause of 0 asks for all that can be had: then the latencies are those of a queue.
    """
    chance = random.Random(1)  # noqa: S311 - the same pauses in every run
    pauses = [[chance.uniform(0, 2 * pause_s) for _ in range(cells)] for _ in clients]

    async def one(client: Client, waits: list[float]) -> None:
        for wait_s in waits:
            await asyncio.sleep(wait_s)
            times.cells.append(await _timed(client.run))

    began_s = time.perf_counter()
    await asyncio.gather(*(one(client, waits) for client, waits in zip(clients, pauses, strict=True)))
    return time.perf_counter() - began_s


async def hang_up(plane: ControlPlane, clients: Sequence[Client]) -> None:
    """Close every connection and end every session."""
    await asyncio.gather(*(client.close() for client in clients))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        await asyncio.gather(
            *(
                asyncio.get_running_loop().run_in_executor(pool, plane.reset_session, client.info.id)
                for client in clients
            )
        )


async def _timed(action: Callable[[], Awaitable[None]]) -> float:
    began_s = time.perf_counter()
    await action()
    return time.perf_counter() - began_s
