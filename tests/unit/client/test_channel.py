"""The channel: order, resuming, other streams, refusals."""

from __future__ import annotations

import queue
import time
from typing import Any, TypeVar

import pytest

from kernel_bridge.client.channel import Channel
from kernel_bridge.client.events import Disconnected, Reconnected
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.retry import Backoff
from kernel_bridge.config import Address
from kernel_bridge.errors import RuntimeUnreachable
from kernel_bridge.protocol.messages import SHELL, Message, new_header
from kernel_bridge.protocol.notes import Goodbye, Hello, PeerDown, PeerUp, Progress, Refused, Wake, Welcome
from kernel_bridge.protocol.version import PROTOCOL

T = TypeVar("T")


def say(text: str, **extra: Any) -> Message:
    return Message(SHELL, new_header("say", "s"), content={"text": text}, **extra)


def request() -> Message:
    """Return what waits for a reply."""
    return Message(SHELL, new_header("execute_request", "s"), content={"code": "1"})


def wait_for(channel: Channel, kind: type[T]) -> T:
    """Return the next event of a kind, passing over others; fails after five seconds."""
    while True:
        event = channel.events.get(timeout=5)
        if isinstance(event, kind):
            return event


def texts(channel: Channel, count: int) -> list[str]:
    return [wait_for(channel, Message).content["text"] for _ in range(count)]


def until(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_says_hello_and_hands_over_welcome_and_peer(runtime, channel):
    """The first events are Welcome and PeerUp, and the channel then knows its stream."""
    wait_for(channel, Welcome)
    assert wait_for(channel, PeerUp).stream == "ctr_1"
    assert channel.stream == "ctr_1"
    assert runtime.notes[0] == Hello(protocol=PROTOCOL)


def test_messages_come_back_in_order_with_their_buffers(channel):
    """What is sent before and after the container is there arrives once, in order, buffers included."""
    for number in range(200):
        channel.send(say(str(number), buffers=(bytes([number]) * number,)))
    received = [wait_for(channel, Message) for _ in range(200)]
    assert [message.content["text"] for message in received] == [str(number) for number in range(200)]
    assert bytes(received[7].buffers[0]) == bytes([7]) * 7


def test_a_buffer_may_change_after_send(channel):
    """`send` copies buffers, so a notebook may go on writing to an array it has sent."""
    data = bytearray(b"before")
    channel.send(say("x", buffers=(data,)))
    data[:] = b"after!"
    assert bytes(wait_for(channel, Message).buffers[0]) == b"before"


def test_a_large_message_comes_back_whole(channel):
    """A message of many socket reads is one message."""
    block = bytes(range(256)) * (20 << 12)
    channel.send(say("x", buffers=(block,)))
    assert bytes(wait_for(channel, Message).buffers[0]) == block


def test_what_arrived_is_acknowledged_when_quiet(runtime, channel):
    """A short while after the last message its number is acknowledged, so the agent can forget it."""
    channel.send(say("a"))
    wait_for(channel, Message)
    until(lambda: runtime.acknowledged == 1)


def test_a_dropped_connection_loses_and_doubles_nothing(runtime, channel):
    """Messages under way in both directions while the connection breaks arrive once and in order."""
    wait_for(channel, PeerUp)
    for number in range(300):
        channel.send(say(str(number)))
        if number % 60 == 30:
            runtime.drop()
    assert texts(channel, 300) == [str(number) for number in range(300)]
    assert [message.content["text"] for message in runtime.heard] == [str(number) for number in range(300)]
    assert channel.events.empty() or not any(isinstance(e, Message) for e in drain(channel))


def drain(channel: Channel) -> list[object]:
    events: list[object] = []
    while True:
        try:
            events.append(channel.events.get_nowait())
        except queue.Empty:
            return events


def test_a_break_is_told_once_and_its_end_too(runtime, channel):
    """Disconnected, then Reconnected, then the session's Welcome."""
    wait_for(channel, PeerUp)
    runtime.drop()
    assert wait_for(channel, Disconnected).why
    assert wait_for(channel, Reconnected).after_s >= 0
    wait_for(channel, Welcome)
    assert wait_for(channel, PeerUp).stream == "ctr_1"


def test_answers_made_while_away_come_after_the_resume(runtime, channel):
    """What the container said while nobody listened is sent again from the last number received."""
    wait_for(channel, PeerUp)
    runtime.say("1")
    assert texts(channel, 1) == ["1"]
    runtime.lose_next = 2
    runtime.say("2")
    runtime.say("3")
    runtime.drop()
    assert texts(channel, 2) == ["2", "3"]


def test_a_missing_message_is_waited_for_and_nothing_overtakes_it(runtime, channel, monkeypatch):
    """After a gap the channel resumes by itself rather than hand over messages out of order."""
    monkeypatch.setattr("kernel_bridge.client.channel.GAP_CLOSES_S", 0.05)
    wait_for(channel, PeerUp)
    runtime.lose_next = 1
    runtime.say("lost")
    runtime.say("after")
    assert texts(channel, 2) == ["lost", "after"]


def test_another_stream_starts_afresh(runtime, channel):
    """When another container answers, a final PeerDown comes first and numbering begins anew on both sides."""
    wait_for(channel, PeerUp)
    channel.send(say("old"))
    assert texts(channel, 1) == ["old"]
    runtime.replace_container("ctr_2")
    runtime.drop()
    assert wait_for(channel, PeerDown).final
    assert wait_for(channel, PeerUp).stream == "ctr_2"
    channel.send(say("new"))
    assert texts(channel, 1) == ["new"]


def test_what_is_sent_after_a_final_end_waits_for_the_next_container(runtime, channel):
    """A message sent while there is no container is delivered to the one that comes."""
    wait_for(channel, PeerUp)
    runtime.tell(PeerDown(why="idle", final=True))
    assert wait_for(channel, PeerDown).why == "idle"
    runtime.replace_container("ctr_2")
    channel.send(say("later"))
    channel.wake()
    assert wait_for(channel, PeerUp).stream == "ctr_2"
    assert texts(channel, 1) == ["later"]


def test_wake_is_repeated_until_answered(runtime, channel):
    """A wish for a container survives a broken connection."""
    wait_for(channel, PeerUp)
    runtime.tell(PeerDown(final=True))
    wait_for(channel, PeerDown)
    runtime.drop()
    runtime.peer_on_hello = False
    channel.wake()
    wait_for(channel, PeerUp)
    assert Wake() in runtime.notes


def test_progress_and_refusal_are_handed_over(runtime, channel):
    """What the control plane says while one waits comes as events."""
    wait_for(channel, PeerUp)
    runtime.tell(Progress(phase="building", line="resolving"))
    assert wait_for(channel, Progress).line == "resolving"
    runtime.tell(Refused(code="no_capacity", detail="no A100"))
    assert wait_for(channel, Refused).detail == "no A100"
    assert channel.alive


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden"), (404, "not_found")])
def test_a_refused_connection_ends_the_channel(runtime, status, code):
    """A wrong token or an unknown session is not tried again."""
    runtime.status = status
    channel = Channel(ControlPlane(runtime.address), "ses_1").start()
    assert wait_for(channel, Refused).code == code
    until(lambda: not channel.alive)
    channel.close()


def test_goodbye_is_the_last_word(runtime, channel):
    """The control plane hears that the notebook ends."""
    wait_for(channel, PeerUp)
    channel.goodbye()
    assert not channel.alive
    until(lambda: runtime.notes[-1] == Goodbye())


@pytest.mark.parametrize("wanting", ["a container", "a reply"])
def test_a_dead_runtime_is_revived_when_it_is_wanted(runtime, tmp_path, wanting):
    """When nothing listens and a cell needs it, the channel asks for the runtime to be started and goes on there."""
    nowhere = Address("http://localhost", "cb_test", str(tmp_path / "nobody"))
    calls = []

    def revive() -> Address:
        calls.append(1)
        return runtime.address

    # The first pause is long: who wants something does not wait for its end.
    channel = Channel(ControlPlane(nowhere), "ses_1", revive=revive, backoff=Backoff(first_s=30.0)).start()
    wait_for(channel, Disconnected)
    assert calls == []
    channel.wake() if wanting == "a container" else channel.send(request())
    assert wait_for(channel, PeerUp).stream == "ctr_1"
    assert calls == [1]
    channel.close()


def test_a_runtime_that_was_stopped_stays_stopped(runtime):
    """An open notebook whose cells have their replies starts nothing; it only goes on looking."""
    calls = []

    def revive() -> Address:
        calls.append(1)
        return runtime.address

    backoff = Backoff(first_s=0.01, limit_s=0.02)
    channel = Channel(ControlPlane(runtime.address), "ses_1", revive=revive, backoff=backoff).start()
    asked = request()
    channel.send(asked)
    wait_for(channel, Message)
    runtime.answer(asked)
    assert wait_for(channel, Message).type == "execute_reply"
    runtime.stop()
    wait_for(channel, Disconnected)
    time.sleep(0.3)
    assert calls == []
    assert channel.alive
    channel.close()


def test_a_runtime_that_cannot_be_revived_is_a_refusal(tmp_path):
    """Whoever waits gets the reason instead of waiting for ever."""

    def revive() -> Address:
        raise RuntimeUnreachable("its log is here")

    nowhere = Address("http://localhost", "cb_test", str(tmp_path / "nobody"))
    channel = Channel(ControlPlane(nowhere), "ses_1", revive=revive, backoff=Backoff(first_s=0.01)).start()
    channel.wake()
    assert wait_for(channel, Refused) == Refused(code="runtime_unreachable", detail="its log is here")
    channel.close()


def test_closing_before_starting_leaves_nothing_open():
    """A channel that was never started can be closed."""
    Channel(ControlPlane(Address("http://localhost")), "ses_1").close()


def test_a_second_stream_of_the_same_container_is_no_new_container(runtime, channel):
    """Streams are named after their container; coming back to `ctr_1/2` finds it where it was."""
    wait_for(channel, PeerUp)
    runtime.replace_container("ctr_1/2")
    runtime.container = "ctr_1"
    runtime.drop()
    assert wait_for(channel, PeerUp).stream == "ctr_1/2"
    drain(channel)
    runtime.drop()
    wait_for(channel, Disconnected)
    assert isinstance(wait_for(channel, PeerUp | PeerDown), PeerUp)


@pytest.mark.parametrize(
    ("code", "reason", "refused"),
    [(4001, "another client took over", "conflict"), (1008, "runtime_mismatch", "runtime_mismatch")],
)
def test_a_connection_closed_for_good_is_not_tried_again(runtime, channel, code, reason, refused):
    """Another notebook took the session over, or we may not speak."""
    wait_for(channel, PeerUp)
    runtime.hang_up(code, reason)
    assert wait_for(channel, Refused).code == refused
    until(lambda: not channel.alive)
