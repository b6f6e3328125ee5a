"""One control plane as a process: its address, the files that tell it, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Final

import uvicorn

from kernel_bridge.errors import BadOption, Conflict
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.scopes import ADMIN
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.api import half_open
from remote_runtime.api.direct import Protocol
from remote_runtime.app import Plane, create_plane
from remote_runtime.arenas import ArenaRoot, open_arenas
from remote_runtime.clock import Clock, SystemClock
from remote_runtime.release import release
from remote_runtime.settings import PROVIDERS, Settings, agents_door
from remote_runtime.store.store import Store

log = logging.getLogger(__name__)

_BACKLOG: Final = 256


def serve(settings: Settings, announce: IO[str]) -> None:
    """Run a control plane until it is told to end, or an embedded one until nothing is left.

    Raises Conflict when one runs in this runtime directory already, BadOption for an address that cannot be had.
    """
    _make_private(settings.runtime_dir)
    _make_private(settings.data_dir)
    # Two of them on one data directory would end each other's uploads and both adopt its containers.
    with _only_one(settings.runtime_dir), _only_one(settings.data_dir), _listening(settings) as (listeners, address):
        clock = SystemClock()
        store = Store.open(settings.store_url, clock, settings.data_dir)
        try:
            # Beyond this machine's locks: a database may be shared by hosts, or by data directories of one host.
            store.seat.take(_holder(settings.data_dir / "holder"), f"{socket.gethostname()} ({settings.data_dir})")
            _serve(settings, store, clock, listeners, address, announce)
            store.seat.leave()
        finally:
            store.close()


def _serve(
    settings: Settings, store: Store, clock: Clock, listeners: list[socket.socket], address: str, announce: IO[str]
) -> None:
    token_file = settings.runtime_dir / "token"
    token = _own_token(token_file)
    store.tokens.register(token, "this machine", ADMIN)
    if store.tokens.authenticate(token) is None:  # somebody revoked it: the file needs another
        token_file.unlink()
        store.tokens.register(_own_token(token_file), "this machine", ADMIN)
    server = Server()
    with _arenas(settings, server) as arena:
        plane = create_plane(settings, store, arena, control_url=_dial(address), leave=server.leave, clock=clock)
        server.prepare(plane, hibernates=settings.embedded)
        with _told(settings.runtime_dir / "runtime.json", address):
            print(f"Cellburst listens on {address}; its token is in {token_file}", file=announce, flush=True)
            server.run(listeners)


@contextlib.contextmanager
def _arenas(settings: Settings, server: Server) -> Iterator[ArenaRoot]:
    arena = open_arenas(settings.runtime_dir, settings.arena_dir)
    try:
        yield arena
    finally:
        if not server.leaves_containers:  # they have it mapped
            arena.close()


class Server:
    """Uvicorn, and what has to happen before it hangs up."""

    def __init__(self) -> None:
        self._uvicorn: _Uvicorn | None = None
        self._plane: Plane | None = None

    @property
    def leaves_containers(self) -> bool:
        """Tell whether containers run on when this process ends."""
        return self._plane is not None and len(self._plane.parts.roster) > 0

    def prepare(self, plane: Plane, *, hibernates: bool) -> None:
        """Take the application.

        `hibernates`: a signal saves and stops the containers first. Else they are left running, to be adopted.
        """
        config = uvicorn.Config(
            plane.app,
            loop="uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
            http=Protocol,
            ws=half_open.Protocol,
            ws_ping_interval=DEFAULTS.heartbeat_s,
            ws_ping_timeout=DEFAULTS.silence_s,
            ws_max_size=DEFAULTS.frame_limit_bytes + (1 << 20),
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._plane = plane
        self._uvicorn = _Uvicorn(config, plane, hibernates=hibernates)

    def run(self, sockets: list[socket.socket]) -> None:
        """Serve until told to end."""
        if self._uvicorn is not None:
            self._uvicorn.run(sockets)

    def leave(self) -> None:
        """End soon: answers under way are still given."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, plane: Plane, *, hibernates: bool) -> None:
        super().__init__(config)
        self._plane = plane
        self._hibernates = hibernates
        self._asked = 0
        self._stopping: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Save first where that is ours to do: agents can only save while their websockets are open."""
        self._asked += 1
        if not self._hibernates or self._asked > 1 or not self.started:
            super().handle_exit(sig, frame)
            # Uvicorn would raise it again at its end: our process would die of it before it has cleared up.
            self._captured_signals.clear()
            return
        log.info("told to end by %s", signal.Signals(sig).name)
        self._plane.parts.tasks.spawn_soon(self._stop, "stop")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hang up on those who listen to events first: their answers have no end of their own."""
        self._plane.parts.herald.feed.close()
        await super().shutdown(sockets)

    async def _stop(self) -> None:
        try:
            await self._plane.hibernate_all()
        finally:
            self.should_exit = True


def _make_private(directory: Path) -> None:
    """Make a directory of ours that only we may enter: tokens, secrets and what cells made lie below."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        if found.st_uid != os.getuid():
            raise BadOption(f"{directory} belongs to another user: set CELLBURST_DATA_DIR and CELLBURST_RUNTIME_DIR.")
        if found.st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise BadOption(f"{directory} cannot be used: {error}.") from None


@contextlib.contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    with (directory / "runtime.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(f"A runtime runs in {directory} already: `cellburst runtime status` shows it.") from None
        yield


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[tuple[list[socket.socket], str]]:
    """Open the one address this runtime has, and say it as `unix:/path` or `http://host:port`.

    Containers of an engine may have another network than this host, or none: they get a socket of their own.
    """
    path = settings.socket_path
    door = agents_door(path)
    with contextlib.ExitStack() as opened:
        opened.callback(door.unlink, missing_ok=True)
        if settings.port is not None:
            listener = opened.enter_context(_tcp(settings.host, settings.port))
            host, port = listener.getsockname()[:2]
            address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            doors = [] if settings.providers == PROVIDERS[:1] else [opened.enter_context(_unix(door))]
            yield [listener, *doors], address
            return
        listener = opened.enter_context(_unix(path))
        opened.callback(path.unlink, missing_ok=True)
        _open_agents_door(path)
        yield [listener], f"unix:{path}"


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=False)
    except OSError as error:
        raise BadOption(f"Nothing can listen on {host}:{port}: {error}.") from None


def _unix(path: Path) -> socket.socket:
    """Listen on a path that only its owner may connect to, from the first moment on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # ours: we hold the lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise BadOption(
            f"Nothing can listen on {path}: {error}. Set CELLBURST_RUNTIME_DIR to a shorter path."
        ) from None
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    return listener


def _open_agents_door(path: Path) -> None:
    door = agents_door(path)
    door.parent.mkdir(mode=0o700, exist_ok=True)
    door.unlink(missing_ok=True)
    door.hardlink_to(path)


def _dial(address: str) -> str:
    """Return where a container of this host reaches us: a wildcard is no address."""
    if address.startswith("unix:"):
        return f"unix:{agents_door(Path(address.removeprefix('unix:')))}"
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _holder(path: Path) -> str:
    """Return the name of this data directory, made on the first start."""
    with contextlib.suppress(OSError):
        if known := path.read_text().strip():
            return known
    name = secrets.token_hex(16)
    _write_private(path, name)
    return name


def _own_token(path: Path) -> str:
    """Return the token of whoever may read this file, made on the first start."""
    with contextlib.suppress(OSError):
        if len(known := path.read_text().strip()) >= 32:
            return known
    token = "cb_" + secrets.token_urlsafe(32)
    _write_private(path, token)
    return token


@contextlib.contextmanager
def _told(path: Path, address: str) -> Iterator[None]:
    facts = {
        "address": address,
        "pid": os.getpid(),
        "version": release(),
        "protocol": PROTOCOL,
    }
    _write_private(path, json.dumps(facts))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
