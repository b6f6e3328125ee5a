"""Large bodies past the parser: every byte arrives, whatever comes before, between and after."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.messages import Buffer
from remote_runtime.api.bodies import DIRECT_FROM_BYTES, receive
from remote_runtime.api.direct import Protocol


class Kept:
    """A sink that keeps what it is given, or refuses it."""

    def __init__(self, refuse_after_bytes: int) -> None:
        self.data = bytearray()
        self._refuse_after_bytes = refuse_after_bytes

    def write(self, *chunks: Buffer) -> None:
        for chunk in chunks:
            self.data += chunk
        if len(self.data) > self._refuse_after_bytes:
            raise BadRequest("too much")

    def commit(self) -> bytes:
        return bytes(self.data)

    def discard(self) -> None:
        pass


class Service:
    """A server that takes bodies."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.broken = 0
        self.refuse_after_bytes = 1 << 40
        self.listener = socket.create_server(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/", self._put, methods=["PUT"])])
        self.uvicorn = uvicorn.Server(uvicorn.Config(app, http=Protocol, log_config=None, lifespan="off", ws="none"))

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.listener.getsockname(), timeout=20)

    def run(self) -> None:
        asyncio.run(self.uvicorn.serve([self.listener]))

    async def _put(self, request: Request) -> Response:
        try:
            self.bodies.append(await receive(request, Kept(self.refuse_after_bytes)))
        except BadRequest as error:
            self.broken += 1
            return PlainTextResponse(str(error), 400)
        return PlainTextResponse("taken")


@pytest.fixture
def service() -> Iterator[Service]:
    """A server on a thread."""
    made = Service()
    thread = Thread(target=made.run)
    thread.start()
    yield made
    made.uvicorn.should_exit = True
    thread.join()
    made.listener.close()


def test_bodies_of_all_sizes_follow_each_other(service: Service) -> None:
    """A connection serves small bodies for as long as it likes; after a large one the client makes another."""
    connection = service.connect()
    sent = [os.urandom(size) for size in (0, 100, DIRECT_FROM_BYTES * 2 + 1, 7, 3 * DIRECT_FROM_BYTES, 300_000)]
    for body in sent:
        connection.request("PUT", "/", body)
        answer = connection.getresponse()
        assert answer.read() == b"taken"
        assert answer.will_close == (len(body) > DIRECT_FROM_BYTES)
    connection.close()
    assert service.bodies == sent


def test_an_upload_that_breaks_off_is_refused(service: Service) -> None:
    """Half a body is none, and the server goes on."""
    connection = service.connect()
    connection.putrequest("PUT", "/")
    connection.putheader("Content-Length", str(4 * DIRECT_FROM_BYTES))
    connection.endheaders(bytes(2 * DIRECT_FROM_BYTES))
    assert connection.sock is not None
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.getresponse().status == 400
    connection.close()
    assert (service.bodies, service.broken) == ([], 1)


def test_a_sink_may_refuse(service: Service) -> None:
    """What it raises is answered, and the next body finds the server as it was."""
    service.refuse_after_bytes = 2 * DIRECT_FROM_BYTES
    connection = service.connect()
    connection.request("PUT", "/", bytes(2 * DIRECT_FROM_BYTES + 1))
    assert connection.getresponse().status == 400
    connection.close()
    connection.request("PUT", "/", b"small")
    assert connection.getresponse().read() == b"taken"
    connection.close()
