"""Blobs over HTTP, on connections of their own: from memory to the socket and back without a copy between."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import blake3

from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.transport import unix_family
from kernel_bridge.codecs.memory import private_memory
from kernel_bridge.config import Address
from kernel_bridge.errors import BadRequest, NotFound, RuntimeUnreachable, error_from
from kernel_bridge.protocol.blobs import BLOB_DIGEST_LENGTH, check_digest
from kernel_bridge.protocol.messages import Buffer

ANSWER_S: Final = 600.0
_PIECE_BYTES: Final = 4 << 20
_ASKED_FROM_BYTES: Final = 8 << 20  # to ask whether it is there takes a moment, to send it many
_WATCHED_FROM_BYTES: Final = 32 << 20  # smaller ones are there before anybody could read how far they are

Moved = Callable[[str, int, int], None]  # "sending" or "fetching", bytes so far, bytes in all


class HttpBlobs:
    """The blob service of a runtime. Content it is known to hold is not sent again."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._address = control_plane.address
        self._held: set[str] = set()
        self._names: dict[str, str] = {}  # xxh3_128 -> BLAKE3 of what was hashed before
        self._local = threading.local()
        self.moved: Moved = lambda way, done_bytes, size_bytes: None  # called while something large is on its way

    def has(self, digest: str) -> bool:
        """Tell whether the service holds a blob of ours."""
        return self._is_there(digest)

    def put(self, data: Buffer, digest: str = "") -> str:
        """Store the bytes unless they are there (`digest`: their xxh3_128 where it is known); return their BLAKE3."""
        view = memoryview(data).cast("B")
        name = self._names.get(digest) or blake3.blake3(view, max_threads=blake3.blake3.AUTO).hexdigest()
        if digest:
            self._names[digest] = name
        # What was there may have been cleared away since; and a kernel before this one may have sent what is large.
        asked = name in self._held or view.nbytes >= _ASKED_FROM_BYTES
        if not asked or not self._is_there(name):
            body = _Watched(view, self.moved) if view.nbytes >= _WATCHED_FROM_BYTES else view
            self._request("PUT", f"/v1/blobs/{name}", body, {"Content-Length": str(view.nbytes)}).read()
        self._held.add(name)
        return name

    def get(self, digest: str, size_bytes: int) -> memoryview:
        """Return a blob as page-aligned memory of our own; raises NotFound, or BadRequest where it is damaged."""
        if len(check_digest(digest)) != BLOB_DIGEST_LENGTH:
            raise NotFound(f"{digest} does not name a blob.")
        response = self._request("GET", f"/v1/blobs/{digest}")
        target = private_memory(size_bytes)
        filled = _read_into(response, target, self.moved)
        rest = response.read()
        if filled != size_bytes or rest:
            raise BadRequest(f"Blob {digest} has {filled + len(rest)} bytes instead of {size_bytes}.")
        if blake3.blake3(target, max_threads=blake3.blake3.AUTO).hexdigest() != digest:
            raise BadRequest(f"Blob {digest} arrived damaged.")
        self._held.add(digest)
        return target

    def close(self) -> None:
        """Close this thread's connection."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()

    def _is_there(self, name: str) -> bool:
        try:
            self._request("HEAD", f"/v1/blobs/{name}").read()
        except NotFound:
            return False
        return True

    def _request(
        self, method: str, path: str, body: Buffer | _Watched | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Send a request, twice if the kept connection turns out closed; raises what the answer says."""
        sent = {"Authorization": f"Bearer {self._address.token}", **(headers or {})}
        for attempt in (1, 2):
            connection = self._connection()
            try:
                response = _answer_to(connection, method, path, body, sent)
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                if attempt == 2:
                    raise RuntimeUnreachable(f"The blob service at {self._address} does not answer: {error}.") from None
            else:
                return response if response.status < 300 else _fail(response, path)
        raise AssertionError("unreachable")

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = _connect(self._address)
        return found


def _answer_to(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Buffer | _Watched | None,
    headers: dict[str, str],
) -> http.client.HTTPResponse:
    """Send and return the answer, also one that came before all was sent: a full disk is told in it."""
    try:
        connection.request(method, path, body, headers)
    except (BrokenPipeError, ConnectionResetError) as error:
        for _ in range(2):  # the first read may only tell of the reset
            with suppress(http.client.HTTPException, OSError):
                return connection.getresponse()
        raise error
    return connection.getresponse()


def _fail(response: http.client.HTTPResponse, path: str) -> Any:
    body = response.read()
    try:
        fields = json.loads(body)
    except ValueError:
        fields = {}
    if response.status == 404:
        raise NotFound(f"{path.rpartition('/')[2]} is not in the blob service.")
    raise error_from(
        str(fields.get("code", "error")), str(fields.get("detail") or f"The blob service answered {response.status}.")
    )


def _read_into(response: http.client.HTTPResponse, target: memoryview, moved: Moved) -> int:
    filled = 0
    while filled < len(target):
        count = response.readinto(target[filled:])
        if not count:
            break
        filled += count
        if len(target) >= _WATCHED_FROM_BYTES:
            moved("fetching", filled, len(target))
    return filled


class _Watched:
    """A body in pieces, which tells how far it is; another attempt starts anew."""

    def __init__(self, view: memoryview, moved: Moved) -> None:
        self._view = view
        self._moved = moved

    def __iter__(self) -> Iterator[memoryview]:
        for at in range(0, self._view.nbytes, _PIECE_BYTES):
            self._moved("sending", at, self._view.nbytes)
            yield self._view[at : at + _PIECE_BYTES]


def _connect(address: Address) -> http.client.HTTPConnection:
    if address.socket:
        return _UnixConnection(address.socket)
    parts = urlsplit(address.url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.netloc, timeout=ANSWER_S, context=ssl.create_default_context())
    return http.client.HTTPConnection(parts.netloc, timeout=ANSWER_S)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(unix_family(), socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
