"""Who waits for a card gets it in the order they came, and knows who has it."""

from __future__ import annotations

from typing import Any

import pytest

from kernel_bridge.protocol.notes import Progress, Wake
from remote_runtime.providers.base import Offer
from remote_runtime.scheduler.placement import Placement
from remote_runtime.scheduler.queue import Holder, Queue, waiting_line
from tests.fakes import FakeClock, FakeProvider, reply, request


def wanted(card: str = "A100", count: int = 1) -> Placement:
    return Placement(provider="p", card=card, count=count, waits=True)


def test_who_comes_later_gets_nothing_that_somebody_waits_for() -> None:
    """Places are kept by who asks again, and given up by who leaves."""
    queue = Queue()
    for session, placement in (("a", wanted()), ("b", wanted("H100")), ("c", wanted(count=2)), ("a", wanted())):
        queue.join(session, placement)
    assert (queue.place("a"), queue.place("b"), queue.place("c")) == (1, 1, 2)
    assert queue.ahead("a") == {}
    assert queue.ahead("c") == {("p", "A100"): 1, ("p", "H100"): 1}
    assert queue.ahead("new") == {("p", "A100"): 3, ("p", "H100"): 1}
    queue.leave("a")
    queue.leave("a")
    assert queue.place("c") == 1


@pytest.mark.parametrize(
    ("placement", "place", "holders", "line"),
    [
        (wanted(), 1, [], "waiting for A100, you are next"),
        (wanted(), 3, [], "waiting for A100, 2 before you"),
        (
            wanted("H100", 4), 1, [Holder(notebook="/home/me/train.ipynb", count=8, busy_s=200)],
            "waiting for 4 H100, you are next; held by train.ipynb (8) for 3 min",
        ),
        (
            wanted(), 1, [Holder(notebook="", count=1, busy_s=3), Holder(notebook="b.ipynb", count=1, busy_s=8000)],
            "waiting for A100, you are next; held by b.ipynb for 2 h, another session for less than a minute",
        ),
    ],
)  # fmt: skip
def test_what_a_waiting_cell_says(placement: Placement, place: int, holders: list[Holder], line: str) -> None:
    """The card, the place, and who has it for how long."""
    assert waiting_line(placement, place, holders) == line


def test_two_who_wait_are_served_in_their_order(play: Any) -> None:
    """The first gets the card when it is free; the second moves up, and is told."""
    clock = FakeClock()
    provider = FakeProvider(Offer(card="A100", total=1, simulated=True), clock=clock)

    async def queued(world: Any, kernel: str) -> tuple[Any, Any]:
        session = await world.open(kernel_id=kernel)
        client = await world.client(session.id)
        client.say(Wake())
        while (said := await client.hear(Progress)).phase != "queued":
            pass
        return session, said.text

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.send(request(1))
        await run.agent.message()
        first, told = await queued(world, "kernel-2")
        assert "you are next" in told
        second, told = await queued(world, "kernel-3")
        assert "1 before you" in told
        run.agent.send(reply(1))
        await run.client.message()
        await world.plane.sessions.reset(run.session_id, "owner")
        clock.advance(1)
        await world.started(first.id)
        assert world.plane.parts.roster.of(second.id) is None

    play(story, provider=provider, clock=clock)
