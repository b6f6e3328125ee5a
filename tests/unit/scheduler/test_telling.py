"""What the scheduler tells of itself: events in their order, a snapshot that says the same, numbers, readiness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kernel_bridge.protocol.events import (
    CardCount,
    CardsChanged,
    CellChanged,
    ContainerChanged,
    CostChanged,
    Progressed,
    RuntimeEvent,
    SessionChanged,
)
from kernel_bridge.protocol.notes import Heartbeat, Hibernate, Saved
from kernel_bridge.protocol.sessions import ContainerState
from remote_runtime.scheduler.census import CensusTaker
from remote_runtime.scheduler.readiness import OK, ROUND_WITHIN_S, Readiness
from tests.fakes import reply, request
from tests.unit.scheduler.conftest import OWNER, Running, World

Play = Callable[..., None]


def heard(world: World) -> list[RuntimeEvent]:
    """Collect every event from here on."""
    events: list[RuntimeEvent] = []
    world.plane.parts.herald.feed.hear(events.append)
    return events


def short(event: RuntimeEvent) -> str:
    """Return an event's kind and what it is about."""
    match event:
        case SessionChanged() | ContainerChanged():
            return f"{event.kind} {event.state}"
        case CellChanged():
            return f"cell {event.status}"
        case Progressed():
            return f"progress {event.phase}"
        case _:
            return event.kind


async def run_cell(world: World, there: Running, seq: int = 1, status: str = "ok") -> None:
    """Have one cell begin and end a second later."""
    there.client.send(request(seq, f"cell-{seq}"))
    await there.agent.message()
    world.clock.advance(1)
    there.agent.send(reply(seq, f"cell-{seq}", status))
    await there.client.message()
    await world.settled()


def test_a_sessions_life_is_told_in_order(play: Play) -> None:
    """From being opened to falling asleep, each step once."""

    async def story(world: World) -> None:
        events = heard(world)
        there = await world.running()
        await run_cell(world, there)
        world.clock.advance(400)
        await world.plane.reconciler.step()
        await there.agent.hear(Hibernate)
        there.agent.say(Saved(names=("x",), lost={}, size_bytes=3, epoch="ep_1"))
        live = world.plane.parts.roster.of(there.session_id)
        assert live is not None
        await live.over.wait()
        assert [short(event) for event in events] == [
            "session open", "container pending", "progress building", "container building", "progress starting",
            "container starting", "container idle", "container idle", "container busy", "cell running",
            "container idle", "cell ok", "container hibernating", "session hibernated", "container stopped", "cost",
        ]  # fmt: skip

    play(story)


def test_the_idle_deadline_is_told_and_moves(play: Play) -> None:
    """It is there while no cell runs, gone while one does, and a pin moves it."""

    async def story(world: World) -> None:
        there = await world.running()
        events = heard(world)
        await run_cell(world, there)
        busy, idle = [event for event in events if isinstance(event, ContainerChanged)]
        assert (busy.state, busy.idle_deadline_s) == (ContainerState.BUSY, None)
        assert idle.idle_deadline_s == world.clock.now() + 300
        await world.plane.sessions.pin(there.session_id, OWNER, world.clock.now() + 1000)
        pinned = [event for event in events if isinstance(event, ContainerChanged)][-1]
        assert pinned.idle_deadline_s == world.clock.now() + 1000

    play(story)


def test_a_lost_cell_is_told(play: Play) -> None:
    """Its container went away: the cell ends as lost, once."""

    async def story(world: World) -> None:
        there = await world.running()
        there.client.send(request(1))
        await there.agent.message()
        await world.settled()
        events = heard(world)
        world.provider.end(there.container_id, "killed")
        await world.plane.reconciler.step()
        live = world.plane.parts.roster.of(there.session_id)
        assert live is not None
        await live.over.wait()
        assert [short(event) for event in events if event.kind == "cell"] == ["cell lost"]

    play(story)


def test_cards_and_costs_are_told_to_whoever_listens(play: Play) -> None:
    """Not a look at the database is spent on it while nobody does; cards only when they changed."""

    async def story(world: World) -> None:
        there = await world.running()
        events = heard(world)
        await world.plane.reconciler.step()
        assert events == []
        world.plane.parts.herald.feed.listen(OWNER)
        for _ in range(3):
            world.clock.advance(4)
            await world.plane.reconciler.step()
        cards, costs = ([event for event in events if isinstance(event, kind)] for kind in (CardsChanged, CostChanged))
        assert [event.cards for event in cards] == [(CardCount(card="A100", total=1, free=0, simulated=True),)]
        assert [event.session_id for event in costs] == [there.session_id]

    play(story)


def test_a_snapshot_says_what_the_events_said(play: Play) -> None:
    """Who reads the last event of each kind and who reads the snapshot know the same."""

    async def story(world: World) -> None:
        events = heard(world)
        there = await world.running()
        there.client.send(request(1))
        await there.agent.message()
        await world.settled()
        snapshot = await CensusTaker(world.plane.parts).snapshot(OWNER, world.plane.starter)
        last: dict[str, Any] = {event.kind: event for event in events}
        assert snapshot.sessions == (last["session"],)
        assert snapshot.containers == (replace(last["container"], at_s=snapshot.at_s),)
        assert snapshot.cells == (last["cell"],)
        assert snapshot.cards == (CardCount(card="A100", total=1, free=0, simulated=True),)
        assert [cost.session_id for cost in snapshot.costs] == [there.session_id]
        nobodys = await CensusTaker(world.plane.parts).snapshot("somebody else", world.plane.starter)
        assert (nobodys.sessions, nobodys.containers, nobodys.cells) == ((), (), ())

    play(story)


def test_the_census_counts_what_is_there(play: Play) -> None:
    """Sessions, containers, connections, what was relayed, what waits in containers."""

    async def story(world: World) -> None:
        there = await world.running()
        await run_cell(world, there)
        there.agent.say(Heartbeat(busy=False, outbox_messages=3, outbox_bytes=700))
        await world.settled()
        census = await CensusTaker(world.plane.parts).census()
        assert census.sessions == {"open": 1}
        assert census.containers == {("idle", "fake"): 1}
        assert (census.notebooks, census.agents) == (1, 1)
        assert census.relayed["container"] == (1, len(request(1, "cell-1")))
        assert census.relayed["notebook"][0] == 1
        assert (census.outbox_messages, census.outbox_bytes) == (3, 700)
        await world.plane.sessions.reset(there.session_id, OWNER)
        assert (await CensusTaker(world.plane.parts).census()).sessions == {"closed": 1}

    play(story)


def test_it_is_ready_when_each_part_is(play: Play) -> None:
    """A provider that does not answer, a reconciler that stands still, a store that is gone: each is a word."""

    async def story(world: World) -> None:
        ready = Readiness(world.plane.parts, world.plane.reconciler)
        assert set((await ready.checks()).values()) == {OK}
        world.provider.fails = "no such place"
        assert set((await ready.checks()).values()) == {OK}  # the answer of a moment ago
        world.clock.advance(world.plane.parts.settings.tick_s + ROUND_WITHIN_S + 1)
        checks = await ready.checks()
        assert (checks["provider"], checks["reconciler"], checks["store"]) == ("unreachable", "stuck", OK)
        world.provider.fails = ""
        world.plane.reconciler.round_at_s = world.clock.monotonic()
        world.clock.advance(2)
        assert set((await ready.checks()).values()) == {OK}

    play(story)
