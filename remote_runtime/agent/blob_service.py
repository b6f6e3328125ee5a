"""The agent's way to the control plane's blobs: HTTP beside the websocket, so that large values pass it by."""

from __future__ import annotations

import http.client
import json
import mmap
import os
import secrets
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import xxhash

from kernel_bridge.protocol.blobs import check_digest
from kernel_bridge.protocol.containers import ContainerConfig
from remote_runtime.agent.unix_path import dial

_CHUNK_BYTES: Final = 1 << 20
_OK: Final = (200, 201, 204)
_TIMEOUT_S: Final = 600.0
_COMMIT_S: Final = 3600.0


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
            "volume_request": self._volume,
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

    def _volume(self, content: dict[str, Any]) -> dict[str, Any]:
        """Commit a volume that this container has mounted, or tell its newest version."""
        path = f"/v1/volumes/{quote(str(content['name']), safe='')}/versions"
        commits = content["verb"] == "commit"
        body = json.dumps({"message": str(content.get("message", ""))}) if commits else None
        with closing(self._connect(_COMMIT_S)) as connection:
            connection.request("POST" if commits else "GET", path, body=body, headers=self._headers())
            reply = connection.getresponse()
            said = json.loads(reply.read() or b"{}")
        if reply.status not in _OK:
            return {"why": str(said.get("detail", f"the control plane answered {reply.status}")), **_code(said)}
        newest = said if commits else next(iter(said["versions"]), {"version": 0})
        return {"version": int(newest["version"])}

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._config.token}"}

    def _connect(self, timeout_s: float = _TIMEOUT_S) -> http.client.HTTPConnection:
        url = self._config.control_url
        if url.startswith("unix:"):
            return _UnixConnection(url.removeprefix("unix:"), timeout_s)
        parts = urlsplit(url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.netloc, context=ssl.create_default_context(), timeout=timeout_s)
        return http.client.HTTPConnection(parts.netloc, timeout=timeout_s)


def _code(said: dict[str, Any]) -> dict[str, Any]:
    return {"code": str(said["code"])} if "code" in said else {}


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
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("runtime", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = dial(self._path)
