"""The agent's way to the control plane's blobs: HTTP beside the websocket, so that large values pass it by."""

from __future__ import annotations

import http.client
import mmap
import os
import secrets
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import xxhash

from kernel_bridge.protocol.blobs import check_digest
from kernel_bridge.protocol.containers import ContainerConfig

_CHUNK_BYTES: Final = 1 << 20
_OK: Final = (200, 201, 204)


class BlobService:
    """Moves blobs between the control plane and the container's arena. The standard library's client: this process
    lives in the user's environment, where nothing of ours may fight what they installed."""

    def __init__(self, config: ContainerConfig) -> None:
        self._config = config

    def serve(self, msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
        """Do what the child asks for; the answer has `why` when it failed. Runs on a worker thread."""
        actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "blob_get_request": self._get,
            "blob_put_request": self._put,
        }
        try:
            return actions[msg_type](content)
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            return {"why": f"{type(error).__name__}: {error}"}

    def _get(self, content: dict[str, Any]) -> dict[str, Any]:
        digest = check_digest(str(content["digest"]))
        arena = Path(self._config.arena_dir)
        temporary = arena / f".{digest}.{secrets.token_hex(4)}"
        with closing(self._connect()) as connection:
            connection.request("GET", f"/v1/blobs/{digest}", headers=self._headers())
            reply = connection.getresponse()
            if reply.status not in _OK:
                return {"why": f"the control plane answered {reply.status}"}
            try:
                name = _receive(reply, temporary)
                temporary.replace(arena / name)
            finally:
                temporary.unlink(missing_ok=True)
        return {"file": name}

    def _put(self, content: dict[str, Any]) -> dict[str, Any]:
        digest = check_digest(str(content["digest"]))
        source = Path(self._config.arena_dir) / check_digest(str(content["file"]))
        with open(source, "rb", opener=_plainly) as file, closing(self._connect()) as connection:
            size_bytes = os.fstat(file.fileno()).st_size
            headers = self._headers() | {"Content-Length": str(size_bytes)}
            # Mapped, because http.client would send a file in pieces of 8 KiB.
            body = mmap.mmap(file.fileno(), size_bytes, access=mmap.ACCESS_READ) if size_bytes else b""
            connection.request("PUT", f"/v1/blobs/{digest}", body=memoryview(body), headers=headers)
            reply = connection.getresponse()
            reply.read()
        return {} if reply.status in _OK else {"why": f"the control plane answered {reply.status}"}

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._config.token}"}

    def _connect(self) -> http.client.HTTPConnection:
        url = self._config.control_url
        if url.startswith("unix:"):
            return _UnixConnection(url.removeprefix("unix:"))
        parts = urlsplit(url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.netloc, context=ssl.create_default_context(), timeout=600)
        return http.client.HTTPConnection(parts.netloc, timeout=600)


def _plainly(path: str, flags: int) -> int:
    """Open what a cell may have put there: a link is not followed, a pipe is not waited for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _receive(reply: http.client.HTTPResponse, path: Path) -> str:
    """Write a body to a new file and return its xxh3_128; each piece is hashed while the processor still has it."""
    hasher, piece = xxhash.xxh3_128(), memoryview(bytearray(_CHUNK_BYTES))
    with path.open("xb", buffering=0) as file:
        while count := reply.readinto(piece):
            hasher.update(piece[:count])
            file.write(piece[:count])
    return hasher.hexdigest()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("runtime", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)
