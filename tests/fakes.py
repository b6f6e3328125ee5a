"""What stands in for the world in tests of the control plane: time, a host, images, and the two ends of a session."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from starlette.websockets import WebSocket

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.framing import MESSAGE, NOTE, envelope, note, open_envelope, read_note
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.messages import IOPUB, SHELL, Message, encode, new_header
from kernel_bridge.protocol.notes import Note, note_from_wire, note_to_wire
from remote_runtime.clock import Clock
from remote_runtime.images.engine_builder import NOBODY, Asker
from remote_runtime.images.records import Environment, Layer
from remote_runtime.images.uv import Progress
from remote_runtime.providers import host
from remote_runtime.providers.base import ContainerSpec, Ground, Handle, Offer, Phase, Status

N = TypeVar("N")

WAIT_S = 5.0


class FakeClock:
    """Time that passes when the test says so."""

    def __init__(self, now_s: float = 1_000_000.0) -> None:
        self._now_s = now_s
        self._set_by_s = self._not_followed_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now_s

    def monotonic(self) -> float:
        return self._now_s - self._set_by_s

    def follow(self) -> float:
        by_s, self._not_followed_s = self._not_followed_s, 0.0
        self._now_s += by_s
        self._set_by_s += by_s
        self._sleepers = [(due_s + by_s, number, waker) for due_s, number, waker in self._sleepers]
        return by_s

    async def sleep(self, seconds: float) -> None:
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + seconds, next(self._order), waker))
        await waker

    def jump(self, seconds: float) -> None:
        """Set the time of day; no time passes, and nobody who sleeps wakes."""
        self._not_followed_s += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass and wake whoever slept until then."""
        self._now_s += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now_s:
            waker = heapq.heappop(self._sleepers)[2]
            if not waker.done():
                waker.set_result(None)


class FakeProvider:
    """Containers that exist on paper. It passes the providers' contract, so it may stand in for any of them."""

    name = "fake"

    def __init__(self, *offers: Offer, clock: Clock | None = None) -> None:
        self.ground = Ground(place="paper", boot_id=host.boot_id(), isolation="not isolated", mend="none needed")
        self.started: list[ContainerSpec] = []
        self.fails = ""  # why the next start fails
        self._offers = offers
        self._clock = clock or FakeClock()
        self._alive: set[str] = set()
        self._ended: dict[str, Status] = {}

    async def offers(self) -> Sequence[Offer]:
        return self._offers

    async def start(self, spec: ContainerSpec) -> Handle:
        if self.fails:
            raise StartFailed(self.fails)
        self.started.append(spec)
        self._alive.add(spec.config.container_id)
        return {"container": spec.config.container_id}

    async def poll(self, handle: Handle) -> Status:
        name = str(handle.get("container"))
        if name in self._alive:
            return Status(phase=Phase.RUNNING)
        return self._ended.get(name, Status(phase=Phase.GONE, cause="killed"))

    async def stop(self, handle: Handle) -> None:
        self.end(str(handle.get("container")), "stopped")

    async def reachable(self) -> bool:
        return not self.fails

    async def close(self) -> None:
        """There is nothing to let go of."""

    def end(self, container_id: str, cause: str, **details: Any) -> None:
        """Have a container end by itself."""
        if container_id in self._alive:
            self._alive.remove(container_id)
            self._ended[container_id] = Status(
                phase=Phase.GONE, cause=cause, ended_at_s=self._clock.now(), details=details
            )


class FakeImages:
    """Environments that are this very interpreter."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.lines: tuple[str, ...] = ()

    async def environment(self, recipe: ImageRecipe, progress: Progress, asker: Asker = NOBODY) -> Environment:
        for line in self.lines:
            progress(line)
        if self.fails is not None:
            raise self.fails
        root = Path(sys.prefix)
        return Environment(
            digest=recipe.digest,
            path=root,
            python=Path(sys.executable),
            version="3.11",
            site_packages=root,
            cached=True,
        )

    async def layer(
        self, environment: Environment, requirements: Sequence[str], progress: Progress, *, resolve: bool = False
    ) -> Layer:
        progress(f"installing {' '.join(requirements)}")
        return Layer(digest="0" * 64, path=Path("/layers/0"), requirements=tuple(requirements), cached=True)


class Wire:
    """One end of a websocket whose other end the control plane has."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []  # by the control plane, since the last look
        self.closed: int | None = None
        self._to_plane: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._to_plane.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/", "headers": [], "extensions": {}}
        self.websocket = WebSocket(scope, self._to_plane.get, self._take)

    async def _take(self, event: Any) -> None:
        if event["type"] == "websocket.send":
            self.sent.append(event["bytes"])
        elif event["type"] == "websocket.close":
            self.closed = event.get("code")
            self._to_plane.put_nowait({"type": "websocket.disconnect", "code": self.closed})
        self._news.set()

    def say(self, *notes: Note) -> None:
        """Say notes to the control plane."""
        for said in notes:
            self.send(note(note_to_wire(said)))

    def send(self, data: bytes) -> None:
        """Send an envelope."""
        self._to_plane.put_nowait({"type": "websocket.receive", "bytes": data})

    def hang_up(self) -> None:
        """Go away without a word."""
        self._to_plane.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def notes(self) -> list[Note]:
        """Return the notes that have come and were not taken yet."""
        return [note_from_wire(read_note(body)) for kind, _, body in map(open_envelope, self.sent) if kind == NOTE]

    def messages(self) -> list[bytes]:
        """Return the messages that have come and were not taken yet."""
        return [data for data in self.sent if data[0] == MESSAGE]

    async def hear(self, kind: type[N]) -> N:
        """Wait for a note of a kind and take it, with everything before it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for index, data in enumerate(self.sent):
                    if data[0] == NOTE and isinstance(said := note_from_wire(read_note(data[9:])), kind):
                        del self.sent[: index + 1]
                        return said
                self._news.clear()
                await self._news.wait()

    async def message(self) -> bytes:
        """Wait for a message and take it, with everything before it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for index, data in enumerate(self.sent):
                    if data[0] == MESSAGE:
                        del self.sent[: index + 1]
                        return data
                self._news.clear()
                await self._news.wait()


def request(seq: int, cell_id: str = "cell-1", code: str = "1 + 1") -> bytes:
    """Return the envelope of an execute_request."""
    header = new_header("execute_request", "notebook", msg_id=cell_id)
    return envelope(MESSAGE, seq, encode(Message(SHELL, header, content={"code": code})))


def reply(seq: int, cell_id: str = "cell-1", status: str = "ok") -> bytes:
    """Return the envelope of an execute_reply."""
    header, parent = new_header("execute_reply", "kernel"), {"msg_id": cell_id}
    return envelope(MESSAGE, seq, encode(Message(SHELL, header, parent, content={"status": status})))


def output(seq: int, text: str = "hello") -> bytes:
    """Return the envelope of something printed."""
    header = new_header("stream", "kernel")
    return envelope(MESSAGE, seq, encode(Message(IOPUB, header, content={"name": "stdout", "text": text})))
