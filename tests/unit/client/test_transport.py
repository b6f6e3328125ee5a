"""HTTP to a runtime: failures become errors that say what to do."""

from __future__ import annotations

import json
import os
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import blake3
import numpy as np
import pytest

from kernel_bridge.client.blobs import HttpBlobs
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.transport import Transport
from kernel_bridge.config import Address
from kernel_bridge.errors import (
    BadRequest,
    CellburstError,
    NoCapacity,
    NotFound,
    RuntimeUnreachable,
    Unauthorized,
)


class Handler(BaseHTTPRequestHandler):
    """Keeps blobs, and answers `/status/CODE` with the body it was given."""

    protocol_version = "HTTP/1.1"
    held: dict[str, bytes]
    puts: list[str]
    answer: tuple[int, bytes]

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass

    def _reply(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/v1/blobs/"):
            self._reply(200, self.held[name]) if name in self.held else self._reply(404, b"{}")
        else:
            self._reply(*self.answer)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        name = self.path.rpartition("/")[2]
        self.puts.append(name)
        self.held[name] = self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(201)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that hangs up early, as one does that only looks whether anybody is there, is no news."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[type[Handler]]:
    """A handler class that answers on the socket `s`."""

    fresh = type("Fresh", (Handler,), {"held": {}, "puts": [], "answer": (200, b"{}")})
    with Server(str(tmp_path / "s"), fresh) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield fresh
        server.shutdown()


@pytest.fixture
def plane(tmp_path: Path, served: type[Handler]) -> Iterator[ControlPlane]:
    with ControlPlane(Address("http://localhost", "cb_x", str(tmp_path / "s"))) as opened:
        yield opened


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (503, {"code": "no_capacity", "detail": "no A100 here"}, NoCapacity, "no A100 here"),
        (401, {"code": "unauthorized", "detail": "x"}, Unauthorized, "%gpu_connect"),
        (404, {"detail": "Not Found"}, NotFound, "Not Found"),
        (422, {"code": "build_failed", "detail": "line 3"}, CellburstError, "line 3"),
        (500, {}, CellburstError, "answered 500"),
    ],
)
def test_an_error_reply_is_raised_as_what_it_stands_for(plane, served, status, body, kind, words) -> None:
    """By its code where it has one, else by its status."""
    served.answer = (status, json.dumps(body).encode())
    with pytest.raises(kind, match=words):
        plane.runtime()


def test_something_else_at_the_address_is_said(plane, served) -> None:
    """A web page is no runtime."""
    served.answer = (200, b"<html>")
    with pytest.raises(RuntimeUnreachable, match="no Cellburst runtime"):
        plane.runtime()


def test_nobody_at_the_address_is_said(tmp_path: Path) -> None:
    """With what to do: start one, or look at the address."""
    here = Address("http://localhost", "", str(tmp_path / "none"))
    for address, hint in ((here, "cellburst runtime serve"), (Address("http://127.0.0.1:9"), "%gpu_connect URL")):
        with ControlPlane(address) as plane, pytest.raises(RuntimeUnreachable, match=hint):
            plane.runtime()


def test_a_download_reports_errors_too(plane, served, tmp_path: Path) -> None:
    """The body of a streamed error is read before it is raised."""
    served.answer = (404, json.dumps({"code": "not_found", "detail": "no such file"}).encode())
    transport = Transport(plane.address)
    with pytest.raises(NotFound, match="no such file"), transport.download("/v1/volumes/v/files/x"):
        pass
    transport.close()


def test_blobs_come_back_writable_and_aligned(plane, served) -> None:
    """Whatever their size, none included."""
    blobs = HttpBlobs(plane)
    for size_bytes in (0, 1, 3 << 20):
        data = os.urandom(size_bytes)
        digest = blobs.put(data)
        assert digest == blake3.blake3(data).hexdigest()
        view = blobs.get(digest, size_bytes)
        assert bytes(view) == data
        assert not view.readonly
    assert np.frombuffer(view, dtype=np.uint8).ctypes.data % 4096 == 0
    blobs.close()


def test_a_blob_the_runtime_holds_is_not_sent_again(plane, served) -> None:
    """Unless it was cleared away meanwhile."""
    blobs = HttpBlobs(plane)
    digest = blobs.put(b"abc", "0" * 32)
    blobs.put(b"abc", "0" * 32)
    assert served.puts == [digest]
    served.held.clear()
    blobs.put(b"abc", "0" * 32)
    assert served.puts == [digest, digest]
    blobs.close()


def test_a_damaged_or_missing_blob_is_refused(plane, served) -> None:
    """Its name is its content's hash."""
    blobs = HttpBlobs(plane)
    digest = blobs.put(b"abc")
    served.held[digest] = b"abd"
    with pytest.raises(BadRequest, match="damaged"):
        blobs.get(digest, 3)
    with pytest.raises(BadRequest, match="instead of 4"):
        blobs.get(digest, 4)
    with pytest.raises(NotFound):
        blobs.get("0" * 64, 3)
    blobs.close()
