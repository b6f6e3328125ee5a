"""Real sockets, a real relay, and ends that say anything: they are closed with a reason, and nobody else notices."""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from kernel_bridge.protocol.framing import ACK, MESSAGE, NOTE, envelope, note, open_envelope
from kernel_bridge.protocol.notes import (
    AgentHello,
    AgentWelcome,
    Heartbeat,
    Hello,
    PeerUp,
    Refused,
    Wake,
    Welcome,
    note_to_wire,
)
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.api.failures import POLICY_VIOLATION
from tests.fakes import output, request
from tests.security.conftest import WAIT_S, House, hear, say
from tests.security.test_fuzz_bytes import NOTES, torn_messages

FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
FRAMES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=10),
    st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.sampled_from([0, 1, 2, 7, (1 << 63) - 1, (1 << 64) - 1])).map(
        lambda pair: envelope(*pair)
    ),
    NOTES.map(lambda fields: envelope(NOTE, 0, [json.dumps(fields).encode()])),
    st.tuples(st.integers(0, 4), torn_messages()).map(lambda pair: envelope(MESSAGE, pair[0], [pair[1]])),
    st.sampled_from([request(1, "c" * 5000), request(1, "\ud800\0"), output(9), b"", note(note_to_wire(Wake()))]),
)
HELLO = note(note_to_wire(Hello(protocol=PROTOCOL)))


class Pair:
    """A notebook and a container that speak with each other while others misbehave."""

    def __init__(self, house: House, stack: ExitStack) -> None:
        token = house.token("bystander")
        session_id = house.open_session(token, "bystander")
        container_id, own = house.container(token, session_id)
        self.notebook = stack.enter_context(house.dial(f"/v1/sessions/{session_id}/channel", token))
        self.agent = stack.enter_context(house.dial("/v1/agents/channel", own))
        say(self.notebook, Hello(protocol=PROTOCOL))
        say(self.agent, AgentHello(protocol=PROTOCOL, container_id=container_id, epoch="ep_1"))
        hear(self.notebook, PeerUp)
        hear(self.agent, PeerUp)
        self._sent = 0

    def talks(self) -> bool:
        """Send a message each way and see it arrive."""
        self._sent += 1
        self.notebook.send(request(self._sent, f"cell-{self._sent}"))
        self.agent.send(output(self._sent))
        return _next_message(self.agent) == _next_message(self.notebook) == self._sent


@pytest.fixture(scope="module")
def pair(house: House) -> Iterator[Pair]:
    """The bystanders."""
    with ExitStack() as stack:
        yield Pair(house, stack)


@pytest.fixture(scope="module")
def offender(house: House) -> dict[str, str]:
    """Who misbehaves: a session of its own with a container of its own."""
    token = house.token("offender")
    session_id = house.open_session(token, "offender")
    container_id, own = house.container(token, session_id)
    return {"token": token, "session": session_id, "container": container_id, "own": own}


@pytest.fixture
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that a remote end says is an error of the server's."""
    yield
    ours = [record for record in caplog.get_records("call") if not record.msg.startswith("Invalid UTF-8")]  # uvicorn's
    assert not [record for record in ours if record.levelno >= logging.ERROR]


@given(st.lists(FRAMES, max_size=8), st.booleans())
@FEW
@pytest.mark.usefixtures("quiet_log")
def test_a_notebook_says_anything(
    house: House, pair: Pair, offender: dict[str, str], frames: list[bytes | str], polite: bool
) -> None:
    """Before or after its hello."""
    with house.dial(f"/v1/sessions/{offender['session']}/channel", offender["token"]) as connection:
        _babble(connection, [HELLO, *frames] if polite else frames)
    assert pair.talks()


@given(st.lists(FRAMES, max_size=8), st.booleans())
@FEW
@pytest.mark.usefixtures("quiet_log")
def test_a_container_says_anything(
    house: House, pair: Pair, offender: dict[str, str], frames: list[bytes | str], polite: bool
) -> None:
    """With a notebook there that hears it, too."""
    hello = AgentHello(protocol=PROTOCOL, container_id=offender["container"], epoch="e", stream="x/y")
    with ExitStack() as stack:
        path = f"/v1/sessions/{offender['session']}/channel"
        notebook = stack.enter_context(house.dial(path, offender["token"]))
        say(notebook, Hello(protocol=PROTOCOL))
        connection = stack.enter_context(house.dial("/v1/agents/channel", offender["own"]))
        _babble(connection, [note(note_to_wire(hello)), *frames] if polite else frames)
    assert pair.talks()


@pytest.mark.parametrize(
    ("frames", "word"),
    [
        (["text instead of a hello"], "hello"),
        ([request(1)], "hello"),
        ([b"\x02"], "too short"),
        ([envelope(NOTE, 0, [b"{"])], "could not be read"),
        ([note({"kind": "hello", "protocol": "1"})], "wants int"),
        ([note({"kind": "hello", "protocol": 999})], "upgrade"),
        ([HELLO, "text"], "binary"),
        ([HELLO, b"\x07" + bytes(8)], "unknown kind"),
        ([HELLO, b"\x00"], "unknown kind"),
        ([HELLO, envelope(ACK, 1 << 63)], "number"),
        ([HELLO, envelope(MESSAGE, (1 << 64) - 1)], "number"),
        ([HELLO, note({"kind": "nothing"})], "unknown kind"),
        ([HELLO, note(note_to_wire(Heartbeat(busy=False)))], "does not say"),
        ([HELLO, note(note_to_wire(AgentWelcome(heartbeat_s=1.0)))], "does not say"),
        ([HELLO, HELLO], "does not say"),
    ],
)
def test_the_offender_is_told_why_and_closed(
    house: House, pair: Pair, offender: dict[str, str], frames: list[bytes | str], word: str
) -> None:
    """One sentence in a note, the error's code in the close."""
    with house.dial(f"/v1/sessions/{offender['session']}/channel", offender["token"]) as connection:
        _babble(connection, frames, wait=False)
        said = hear(connection, Refused)
        assert word in said.detail
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(WAIT_S)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (POLICY_VIOLATION, said.code)
    assert pair.talks()


@pytest.mark.parametrize(
    "raw",
    [
        bytes([0x82, 0xFF]) + struct.pack(">Q", 1 << 62) + bytes(4),  # a frame of four exabytes
        bytes([0x82, 0x05]) + b"hello",  # not masked
        bytes([0xF2, 0x80]) + bytes(4),  # reserved bits
        bytes([0x80, 0x80]) + bytes(4),  # goes on, after nothing
        bytes([0x81, 0x82]) + bytes(4) + b"\xff\xfe",  # text that is none
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
@pytest.mark.usefixtures("quiet_log")
def test_broken_websockets_are_hung_up_on(house: House, pair: Pair, offender: dict[str, str], raw: bytes) -> None:
    """Below the envelopes: lengths nobody has memory for, frames against the rules."""
    with house.dial(f"/v1/sessions/{offender['session']}/channel", offender["token"]) as connection:
        say(connection, Hello(protocol=PROTOCOL))
        hear(connection, Welcome)
        connection.socket.sendall(raw)
        with pytest.raises(ConnectionClosed):
            while True:
                connection.recv(WAIT_S)
    assert pair.talks()


@pytest.mark.usefixtures("quiet_log")
def test_a_flood_drowns_only_its_sender(house: House, pair: Pair, offender: dict[str, str]) -> None:
    """Thousands of frames out of order, wakes and acknowledgements; the others' messages still pass."""
    with house.dial(f"/v1/sessions/{offender['session']}/channel", offender["token"]) as connection:
        say(connection, Hello(protocol=PROTOCOL))
        hear(connection, Welcome)
        for number in range(2000):
            connection.send(envelope(ACK, number))
            connection.send(request(3000 - number, f"flood-{number}"))
            say(connection, Wake())
            assert number % 500 or pair.talks()
    assert pair.talks()


def _babble(connection: ClientConnection, frames: list[bytes | str], *, wait: bool = True) -> None:
    """Say all that, until hung up on, and wait until the server has read it: it answers a ping, or closes."""
    with suppress(ConnectionClosed):
        for data in frames:
            connection.send(data)
        if wait:
            connection.ping().wait(1.0)


def _next_message(connection: ClientConnection) -> int:
    while True:
        data: Any = connection.recv(WAIT_S)
        kind, seq, _ = open_envelope(data)
        if kind == MESSAGE:
            return seq
