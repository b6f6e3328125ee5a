"""Starts and ends that meet: nobody waits for ever, no card is held for nothing, no state is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kernel_bridge.protocol.notes import Hibernate, PeerDown, Progress, Refused, Saved, Wake
from kernel_bridge.protocol.sessions import ContainerState, SessionState
from tests.fakes import request

Play = Callable[..., None]
SAVED = Saved(names=("model",), lost={}, size_bytes=10, epoch="ep_1")


def test_a_start_that_fails_unforeseen_is_told(play: Play) -> None:
    """A full disk is no error of ours; the notebook hears of it all the same, and the card is free."""

    async def story(world: Any) -> None:
        world.images.fails = OSError(28, "No space left on device")
        info = await world.open()
        client = await world.client(info.id)
        client.say(Wake())
        assert (await client.hear(Refused)).code == "start_failed"
        await world.settled()
        assert len(world.plane.parts.roster) == 0

    play(story)


def test_a_start_given_up_is_told(play: Play) -> None:
    """Stopped from elsewhere while it starts: the cell that waits for it ends, and the container is gone."""

    async def story(world: Any) -> None:
        info = await world.open()
        client = await world.client(info.id)
        client.say(Wake())
        config = await world.started(info.id)
        await world.plane.sessions.stop(info.id, "owner")
        assert (await client.hear(Refused)).code == "session_lost"
        assert world.store.containers.get(config.container_id).state is ContainerState.FAILED
        assert len(world.plane.parts.roster) == 0

    play(story)


def test_stopping_at_any_moment_of_a_start_frees_the_card(play: Play) -> None:
    """Whatever step is cut short, the next wake gets the one card there is."""

    async def story(world: Any) -> None:
        info = await world.open()
        client = await world.client(info.id)
        for turns in range(40):
            client.say(Wake())
            for _ in range(turns):
                await asyncio.sleep(0.0005)
            await world.plane.sessions.stop(info.id, "owner")
            assert len(world.plane.parts.roster) == 0, turns
        assert world.store.containers.live() == ()
        client.say(Wake())
        await world.woken(info.id, client)

    play(story)


def test_stopping_right_after_the_hello_saves(play: Play) -> None:
    """The container may hold values as soon as its agent is here: it is asked for them."""

    async def story(world: Any) -> None:
        info = await world.open()
        client = await world.client(info.id)
        client.say(Wake())
        config = await world.started(info.id)
        agent = await world.agent(config.container_id)
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(world.plane.sessions.stop(info.id, "owner"))
        await agent.hear(Hibernate)
        agent.say(SAVED)
        assert (await stopping).state is SessionState.HIBERNATED

    play(story)


def test_a_wake_during_a_hibernation_that_fails_finds_the_container(play: Play) -> None:
    """It starts nothing, then or later."""

    async def story(world: Any) -> None:
        run = await world.running()
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.client.say(Wake())
        await world.settled()
        run.agent.say(Saved(names=(), lost={}, size_bytes=0, epoch="ep_1", failed="OSError: disk full"))
        await run.client.hear(Progress)
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        await run.client.hear(PeerDown)
        await world.settled()
        assert len(world.provider.started) == 1

    play(story)


def test_a_cell_is_never_slipped_into_a_hibernation(play: Play) -> None:
    """From the verdict on nothing more reaches the container: saving interrupts what runs."""

    async def story(world: Any) -> None:
        run = await world.running()
        await world.settled()
        live = world.plane.parts.roster.of(run.session_id)
        world.plane.ender.hibernate(live, "idle")
        run.client.send(request(1))
        await run.agent.hear(Hibernate)
        assert run.agent.messages() == []
        run.agent.say(SAVED)
        await run.client.hear(PeerDown)

    play(story)


def test_a_closed_session_does_not_wake(play: Play) -> None:
    """A notebook that holds on to it is told to run the cell again; nothing starts."""

    async def story(world: Any) -> None:
        info = await world.open()
        client = await world.client(info.id)
        await world.plane.sessions.reset(info.id, "owner")
        client.say(Wake())
        assert (await client.hear(Refused)).code == "session_lost"
        assert world.provider.started == []

    play(story)


def test_an_end_that_fails_is_tried_again(play: Play, monkeypatch: Any) -> None:
    """What was saved counts; the session wakes with it."""

    async def story(world: Any) -> None:
        run = await world.running()
        ended, tries = world.store.containers.ended, []

        def fails_once(*args: Any) -> bool:
            tries.append(args)
            if len(tries) == 1:
                raise OSError(28, "No space left on device")
            return bool(ended(*args))

        monkeypatch.setattr(world.store.containers, "ended", fails_once)
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        await world.settled()
        await world.pass_time(1)
        assert (await run.client.hear(PeerDown)).final
        asleep = await world.info(run.session_id)
        assert (asleep.state, asleep.kept_names, asleep.container_id) == (SessionState.HIBERNATED, ("model",), "")
        run.client.say(Wake())
        await world.woken(run.session_id, run.client)

    play(story)


def test_a_clock_set_back_does_not_keep_it_warm(play: Play) -> None:
    """The idle window is counted anew from the time it is now."""

    async def story(world: Any) -> None:
        run = await world.running()
        world.clock.advance(100)
        await world.pass_time(-86_400)
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        await run.client.hear(PeerDown)
        assert all(entry.cost_microusd >= 0 for entry in world.store.ledger.entries())

    play(story)


def test_an_embedded_runtime_stays_while_it_answers(play: Play) -> None:
    """An image may take longer to build than it lingers."""

    async def story(world: Any) -> None:
        await world.pass_time(0)
        world.plane.reconciler.stir(1)
        await world.pass_time(10_000)
        assert world.left == []
        world.plane.reconciler.stir(-1)
        await world.pass_time(1)
        await world.pass_time(10_000)
        assert world.left == ["left"]

    play(story, embedded=True)
