"""The feed: order, whose events are whose, what is kept, and who falls behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kernel_bridge.protocol.events import CardsChanged, CostChanged, RuntimeEvent
from remote_runtime.observability.feed import BEHIND, KEPT, Feed, Listening

Story = Callable[[Feed], Awaitable[None]]


def cost(session_id: str, amount: int = 0) -> CostChanged:
    return CostChanged(session_id=session_id, at_s=1.0, spent_microusd=amount)


def play(story: Story) -> None:
    """Run a story with a feed in which one session is Ann's and one Bob's."""

    async def run() -> None:
        feed = Feed()
        feed.belongs("ses_ann", "ann")
        feed.belongs("ses_bob", "bob")
        async with asyncio.timeout(10):
            await story(feed)

    asyncio.run(run())


async def take(listening: Listening, count: int) -> list[RuntimeEvent]:
    """Return the next events."""
    events = listening.events()
    return [(await anext(events)).event for _ in range(count)]


def test_each_owner_hears_their_own() -> None:
    """Cards are everyone's; an admin hears all; a session nobody is known to own is told to nobody."""

    async def story(feed: Feed) -> None:
        ann, everyone = feed.listen("ann"), feed.listen(None)
        cards = CardsChanged(cards=())
        for event in (cost("ses_bob"), cost("ses_nobody"), cards, cost("ses_ann")):
            feed.publish(event)
        assert await take(ann, 2) == [cards, cost("ses_ann")]
        assert await take(everyone, 3) == [cost("ses_bob"), cards, cost("ses_ann")]
        assert [item.event for item in feed.since(_before_all(feed), "ann") or ()] == [cards, cost("ses_ann")]

    play(story)


def test_who_comes_back_is_told_what_came_after() -> None:
    """From the event it names on, in order, each once."""

    async def story(feed: Feed) -> None:
        for amount in range(5):
            feed.publish(cost("ses_ann", amount))
        missed = feed.since(_before_all(feed), "ann") or []
        assert [item.event for item in missed] == [cost("ses_ann", amount) for amount in range(5)]
        assert feed.since(missed[2].id, "ann") == missed[3:]
        assert feed.since(feed.last_id, "ann") == []

    play(story)


def test_what_is_not_known_any_more_is_said() -> None:
    """An event that was dropped, one of another control plane, one that has not happened, and nonsense."""

    async def story(feed: Feed) -> None:
        first = feed.last_id
        for _ in range(KEPT + 1):
            feed.publish(cost("ses_ann"))
        life = first.partition("-")[0]
        for stale in (first, "0000-1", f"{life}-{KEPT + 5}", f"{life}-", f"{life}-x", f"{life}-{'9' * 50}", "", "-"):
            assert feed.since(stale, "ann") is None
        assert feed.since(f"{life}-1", "ann") is not None

    play(story)


def test_a_slow_listener_is_dropped_and_nobody_waits() -> None:
    """Its place ends; the others hear everything."""

    async def story(feed: Feed) -> None:
        slow, quick = feed.listen("ann"), feed.listen("ann")
        for amount in range(BEHIND + 1):
            feed.publish(cost("ses_ann", amount))
            assert await take(quick, 1) == [cost("ses_ann", amount)]
        assert slow.over
        assert not quick.over
        assert [item async for item in slow.events()] == []

    play(story)


def test_a_listener_waits_and_the_end_ends_it() -> None:
    """An event wakes it; closing the feed ends its stream, and that of one who comes too late."""

    async def story(feed: Feed) -> None:
        listening = feed.listen("ann")
        waiting = asyncio.ensure_future(take(listening, 1))
        await asyncio.sleep(0)
        feed.publish(cost("ses_ann"))
        assert await waiting == [cost("ses_ann")]
        feed.close()
        assert [item async for item in listening.events()] == []
        assert [item async for item in feed.listen("ann").events()] == []
        feed.leave(listening)
        assert len(feed) == 1

    play(story)


def _before_all(feed: Feed) -> str:
    return feed.last_id.partition("-")[0] + "-0"
