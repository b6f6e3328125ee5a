"""A whole control plane on a real socket, with several people on it. Only containers and images are on paper."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import ClientConnection, unix_connect

from kernel_bridge.errors import BadImage
from kernel_bridge.protocol.framing import NOTE, note, open_envelope, read_note
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.notes import Hello, Note, Wake, note_from_wire, note_to_wire
from kernel_bridge.protocol.sessions import Notebook, SessionSpec
from kernel_bridge.protocol.version import PROTOCOL
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.app import create_plane
from remote_runtime.arenas import ArenaRoot
from remote_runtime.clock import SystemClock
from remote_runtime.images.engine_builder import NOBODY, Asker
from remote_runtime.images.records import Environment
from remote_runtime.providers.base import Offer
from remote_runtime.server import Server
from remote_runtime.settings import Settings
from remote_runtime.store import Store, sqlite_url
from tests.fakes import FakeImages, FakeProvider
from tests.security.intruders import intruder

__all__ = ["intruder"]  # a fixture of its own file

WAIT_S = 30.0


class PaperImages(FakeImages):
    """Builds what has no steps; what has some can never build."""

    async def environment(
        self, recipe: ImageRecipe, progress: Callable[[str], None], asker: Asker = NOBODY
    ) -> Environment:
        if recipe.steps:
            raise BadImage("On paper there are no steps.")
        return await super().environment(recipe, progress, asker)


class House:
    """A control plane that serves, and the keys to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        clock = SystemClock()
        self.store = Store.open(sqlite_url(directory / "store.sqlite3"), clock, directory / "data")
        self.provider = FakeProvider(Offer(card="A100", total=64, simulated=True), clock=clock)
        self.left: list[str] = []
        settings = Settings(data_dir=directory / "data", runtime_dir=directory / "run", tick_s=0.2)
        self.plane = create_plane(
            settings,
            self.store,
            ArenaRoot(path=directory / "arena", kind="files"),
            control_url="unix:/nowhere",
            leave=lambda: self.left.append("left"),
            clock=clock,
            provider=self.provider,
            images=PaperImages(),
        )
        self.path = directory / "s"
        self._server = Server()

    @contextmanager
    def open(self) -> Iterator[House]:
        """Serve on a socket of its own."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen(64)
            with self.serving(listener):
                yield self

    @contextmanager
    def serving(self, listener: socket.socket) -> Iterator[None]:
        """Serve on a socket that listens."""
        self._server.prepare(self.plane, hibernates=False)
        thread = threading.Thread(target=self._server.run, args=([listener],))
        thread.start()
        try:
            yield
        finally:
            self._server.leave()
            thread.join(WAIT_S)
            self.store.close()
        assert not thread.is_alive()

    def token(self, owner: str, scope: str = "owner", **more: Any) -> str:
        """Make a token."""
        return self.store.tokens.create("", scope, owner=owner, **more)[1]

    @contextmanager
    def http(self, token: str = "") -> Iterator[httpx2.Client]:
        """Speak HTTP as whoever has this token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx2.HTTPTransport(uds=str(self.path), retries=20)
        with httpx2.Client(transport=transport, base_url="http://house", headers=headers, timeout=WAIT_S) as client:
            yield client

    def dial(self, path: str, token: str = "") -> ClientConnection:
        """Open a websocket; raises InvalidStatus when it is refused."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return unix_connect(
            str(self.path), "ws://house" + path, additional_headers=headers, compression=None, close_timeout=2
        )

    def open_session(self, token: str, kernel: str = "k", **changes: Any) -> str:
        """Open a session; return its id."""
        with self.http(token) as http:
            answer = http.post("/v1/sessions", json=to_wire(spec(kernel, **changes)))
            assert answer.status_code == 200, answer.text
            return str(answer.json()["id"])

    def container(self, token: str, session_id: str) -> tuple[str, str]:
        """Have a session's container started on paper; return its id and its own token."""
        with self.dial(f"/v1/sessions/{session_id}/channel", token) as notebook:
            say(notebook, Hello(protocol=PROTOCOL), Wake())
            deadline = time.monotonic() + WAIT_S
            while time.monotonic() < deadline:
                for started in self.provider.started:
                    if started.config.session_id == session_id:
                        return started.config.container_id, started.config.token
                time.sleep(0.02)
        raise AssertionError("no container started")


def spec(kernel: str = "k", **changes: Any) -> SessionSpec:
    """Return what a notebook asks for."""
    asked: dict[str, Any] = {"image": ImageRecipe(python="3.11"), "gpu": "cpu", **changes}
    return SessionSpec(notebook=Notebook(kernel_id=kernel, python="3.11"), **asked)


def say(connection: ClientConnection, *notes: Note) -> None:
    """Say notes on a websocket."""
    for said in notes:
        connection.send(note(note_to_wire(said)))


def hear(connection: ClientConnection, kind: type[Any]) -> Any:
    """Wait for a note of a kind; raises ConnectionClosed when the other side hangs up before."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        data = connection.recv(WAIT_S)
        assert isinstance(data, bytes)
        what, _, body = open_envelope(data)
        if what == NOTE and isinstance(heard := note_from_wire(read_note(body)), kind):
            return heard
    raise AssertionError(f"no {kind.__name__} came")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house of one test module."""
    with tempfile.TemporaryDirectory(prefix="cb") as name, House(Path(name)).open() as opened:
        yield opened
