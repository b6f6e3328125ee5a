"""What passes between the two ends of a session, and what happens when one of them goes and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.framing import ACK, ENVELOPE, MESSAGE, envelope
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.notes import (
    AgentHello,
    ChildEnded,
    Goodbye,
    Heartbeat,
    Hello,
    PeerDown,
    PeerUp,
    Refused,
    Saved,
    Stop,
    Wake,
    Welcome,
)
from kernel_bridge.protocol.sessions import Notebook, SessionInfo, SessionSpec, SessionState
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.api.relay import CLOSE_TAKEN_OVER, Relay
from tests.fakes import Wire, output, reply, request

SESSION = "ses_1"


class Ear:
    """Writes down what the relay reports."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.ended = False

    def _info(self) -> SessionInfo:
        spec = SessionSpec(notebook=Notebook(kernel_id="k"), image=ImageRecipe())
        return SessionInfo(id=SESSION, state=SessionState.OPEN, spec=spec)

    async def client_up(self, session_id: str) -> SessionInfo:
        return self._info()

    def client_down(self, session_id: str, *, goodbye: bool) -> None:
        self.heard.append(("client down", "for good" if goodbye else "for now"))

    def wanted(self, session_id: str) -> None:
        self.heard.append(("wanted",))

    async def agent_up(self, container_id: str, hello: AgentHello) -> str:
        if self.ended:
            raise NotFound("This container has ended.")
        return SESSION

    async def joined(self, session_id: str) -> SessionInfo:
        return self._info()

    def agent_down(self, container_id: str) -> None:
        self.heard.append(("agent down",))

    def beat(self, container_id: str, heartbeat: Heartbeat) -> None:
        self.heard.append(("beat",))

    def saved(self, container_id: str, saved: Saved) -> None:
        self.heard.append(("saved",))

    def child_ended(self, container_id: str, ended: ChildEnded) -> None:
        self.heard.append(("child ended", ended.cause))

    def cell_started(self, session_id: str, cell_id: str, code_digest: str) -> None:
        self.heard.append(("started", cell_id))

    def cell_ended(self, session_id: str, cell_id: str, status: str, last_seq: int) -> None:
        self.heard.append(("ended", cell_id, status))


class Stage:
    """A relay and whoever dials in."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.relay = Relay(heartbeat_s=5.0)
        self.relay.listen(self.ear)
        self.tasks: list[asyncio.Task[None]] = []

    async def client(self, stream: str = "", received: int = 0) -> Wire:
        wire = self.dial_as_client()
        wire.say(Hello(protocol=PROTOCOL, stream=stream, received=received))
        await wire.hear(Welcome)
        return wire

    async def agent(self, container_id: str = "ctr_1", received: int = 0) -> Wire:
        wire = self.dial_as_agent(container_id)
        wire.say(AgentHello(protocol=PROTOCOL, container_id=container_id, epoch="ep_1", received=received))
        return wire

    async def pair(self) -> tuple[Wire, Wire]:
        """Return a client and an agent that know of each other."""
        client, agent = await self.client(), await self.agent()
        await client.hear(PeerUp)
        await agent.hear(PeerUp)
        return client, agent

    def dial_as_client(self) -> Wire:
        return self._dial(lambda wire: self.relay.serve_client(SESSION, wire.websocket))

    def dial_as_agent(self, container_id: str) -> Wire:
        return self._dial(lambda wire: self.relay.serve_agent(container_id, wire.websocket))

    def _dial(self, serve: Callable[[Wire], Awaitable[None]]) -> Wire:
        wire = Wire()
        self.tasks.append(asyncio.ensure_future(serve(wire)))
        return wire


Play = Callable[[Callable[[Stage], Awaitable[None]]], None]


@pytest.fixture
def play() -> Play:
    async def whole(story: Callable[[Stage], Awaitable[None]]) -> None:
        stage = Stage()
        await story(stage)
        for task in stage.tasks:
            task.cancel()
        await asyncio.gather(*stage.tasks, return_exceptions=True)

    return lambda story: asyncio.run(whole(story))


async def settled() -> None:
    """Let everybody read what lies before them."""
    for _ in range(20):
        await asyncio.sleep(0)


def seqs(wire: Wire) -> list[int]:
    return [ENVELOPE.unpack_from(data)[1] for data in wire.messages()]


def test_bytes_pass_as_they_are(play: Play) -> None:
    """What one end sends the other gets, byte for byte, and the cell's begin and end are reported after."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        there, back = request(1), [output(1), reply(2)]
        client.send(there)
        assert await agent.message() == there
        for data in back:
            agent.send(data)
        assert [await client.message(), await client.message()] == back
        await settled()
        assert stage.ear.heard == [("started", "cell-1"), ("ended", "cell-1", "ok")]

    play(story)


def test_both_ends_are_told_of_each_other(play: Play) -> None:
    """The stream is the container; the notebook also gets its session and epoch."""

    async def story(stage: Stage) -> None:
        client = await stage.client()
        agent = await stage.agent()
        up = await client.hear(PeerUp)
        assert (up.stream, up.received, up.epoch) == ("ctr_1", 0, "ep_1")
        assert up.session is not None
        assert (await agent.hear(PeerUp)).stream == "ctr_1"

    play(story)


def test_a_notebook_that_comes_back_goes_on_where_it_was(play: Play) -> None:
    """Each end learns how far the other got, by its hello or by what it acknowledged since."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        for seq in (1, 2, 3):
            client.send(request(seq, f"cell-{seq}"))
            await agent.message()
        agent.send(envelope(ACK, 2))
        await settled()
        client.hang_up()
        assert not (await agent.hear(PeerDown)).final
        agent.send(output(1))
        await settled()
        again = await stage.client(stream="ctr_1", received=0)
        assert (await again.hear(PeerUp)).received == 2
        assert (await agent.hear(PeerUp)).received == 0
        agent.send(output(1))
        await again.message()

    play(story)


def test_a_message_after_a_gap_waits_for_what_is_missing(play: Play) -> None:
    """What was in flight when the other end came back may not overtake what will be sent again."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        client.send(request(1))
        await agent.message()
        agent.hang_up()
        await client.hear(PeerDown)
        client.send(request(2))  # lost: nobody is there
        back = await stage.agent(received=1)
        await back.hear(PeerUp)
        client.send(request(3))  # sent before the notebook knew that 2 is missing
        client.send(request(2))
        client.send(request(3))
        await settled()
        assert seqs(back) == [2, 3]

    play(story)


def test_the_end_of_a_cell_counts_though_nobody_listens(play: Play) -> None:
    """The bill does not wait for the notebook to come back."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        client.hang_up()
        await settled()
        agent.send(reply(1, status="error"))
        await settled()
        assert stage.ear.heard[-1] == ("ended", "cell-1", "error")

    play(story)


def test_a_newer_client_takes_over(play: Play) -> None:
    """The older is hung up on, with the reason; the newer begins a stream of its own with the same container."""

    async def story(stage: Stage) -> None:
        older, agent = await stage.pair()
        older.send(request(1))
        await agent.message()
        newer = await stage.client()
        assert older.closed == CLOSE_TAKEN_OVER
        ups = await newer.hear(PeerUp), await agent.hear(PeerUp)
        assert [(up.stream, up.received) for up in ups] == [("ctr_1/2", 0)] * 2
        newer.send(request(1, "cell-of-the-newer"))
        await agent.message()
        assert stage.relay.clients() == 1

    play(story)


def test_one_that_was_taken_over_from_is_not_heard(play: Play) -> None:
    """Whatever it says after its end reaches neither the container nor the scheduler."""

    async def story(stage: Stage) -> None:
        older, agent = await stage.pair()
        tie = stage.relay._tie(SESSION)
        ousted = tie.client
        assert ousted is not None
        await stage.client()
        await agent.hear(PeerUp)
        await tie.from_client(ousted, request(1, "cell-of-the-older"))
        await stage.relay._client_said(tie, ousted, Wake())
        assert (agent.messages(), stage.ear.heard, older.closed) == ([], [], CLOSE_TAKEN_OVER)

    play(story)


def test_nothing_reaches_a_container_that_is_held(play: Play) -> None:
    """While it saves its state no cell begins, but replies still come home; at its end the notebook is told."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        stage.relay.hold(SESSION)
        client.send(request(1))
        agent.send(output(1))
        await client.message()
        assert agent.messages() == []
        await stage.relay.container_ended(SESSION, "hibernated", ())
        down = await client.hear(PeerDown)
        assert (down.why, down.final) == ("hibernated", True)

    play(story)


def test_what_was_held_is_sent_again_when_it_goes_on(play: Play) -> None:
    """Both ends are told of each other anew, and the message that was stopped passes the second time."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        stage.relay.hold(SESSION)
        client.send(request(1))
        await settled()
        assert agent.messages() == []
        await stage.relay.resume(SESSION)
        assert (await client.hear(PeerUp)).received == 0
        client.send(request(1))
        assert await agent.message()

    play(story)


def test_notes_are_heard(play: Play) -> None:
    """Wake, goodbye and what an agent reports come to the scheduler."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        client.say(Wake(), Goodbye())
        agent.say(Heartbeat(busy=False), ChildEnded(cause="it crashed", epoch="ep_2"))
        agent.say(Saved(names=(), lost={}, size_bytes=0, epoch="ep_2"))
        await settled()
        client.hang_up()
        agent.hang_up()
        await settled()
        assert {*stage.ear.heard} == {
            ("wanted",),
            ("beat",),
            ("child ended", "it crashed"),
            ("saved",),
            ("client down", "for good"),
            ("agent down",),
        }

    play(story)


def test_another_protocol_is_refused(play: Play) -> None:
    """The notebook learns which side to upgrade, the agent to stop."""

    async def story(stage: Stage) -> None:
        client, agent = stage.dial_as_client(), stage.dial_as_agent("ctr_1")
        client.say(Hello(protocol=PROTOCOL + 1))
        agent.say(AgentHello(protocol=PROTOCOL + 1, container_id="ctr_1", epoch=""))
        refused = await client.hear(Refused)
        assert (refused.code, "upgrade the runtime's" in refused.detail) == ("runtime_mismatch", True)
        await agent.hear(Stop)

    play(story)


def test_an_agent_whose_container_has_ended_is_told_to_stop(play: Play) -> None:
    """So is one with another container's token."""

    async def story(stage: Stage) -> None:
        stage.ear.ended = True
        late = await stage.agent()
        await late.hear(Stop)
        stage.ear.ended = False
        other = stage.dial_as_agent("ctr_1")
        other.say(AgentHello(protocol=PROTOCOL, container_id="ctr_2", epoch=""))
        await other.hear(Stop)

    play(story)


@pytest.mark.parametrize(
    "nonsense", [b"", b"\x00", b"\x09" + bytes(8), envelope(2, 0, [b"{}"]), envelope(2, 0, [b"\xff"])]
)
def test_nonsense_ends_the_connection(play: Play, nonsense: bytes) -> None:
    """The other end and the control plane go on."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        client.send(nonsense)
        await agent.hear(PeerDown)
        assert client.closed is not None
        again = await stage.client(stream="ctr_1")
        await again.hear(PeerUp)

    play(story)


def test_a_message_nobody_can_read_passes(play: Play) -> None:
    """The relay is no judge of what it carries."""

    async def story(stage: Stage) -> None:
        client, agent = await stage.pair()
        client.send(envelope(MESSAGE, 1, [b"not a message"]))
        assert (await agent.message()).endswith(b"not a message")
        assert stage.ear.heard == []

    play(story)
