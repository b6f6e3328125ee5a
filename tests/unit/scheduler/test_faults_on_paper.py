"""Clocks that jump, control planes that restart, containers nobody owns: decided on a fake clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from kernel_bridge.errors import StoreUnavailable
from kernel_bridge.protocol.notes import (
    AgentHello,
    Goodbye,
    Heartbeat,
    Hibernate,
    PeerDown,
    Progress,
    Saved,
    Stop,
    Wake,
)
from kernel_bridge.protocol.sessions import ContainerState, Notebook, SessionState
from kernel_bridge.protocol.version import PROTOCOL
from remote_runtime.clock import SystemClock
from remote_runtime.providers.base import Offer, Phase, Status
from remote_runtime.scheduler import ending, tasks
from remote_runtime.scheduler.placement import Placement
from remote_runtime.store.rows import CellStatus
from tests.fakes import FakeClock, FakeProvider, Wire, reply, request

Play = Callable[..., None]
SAVED = Saved(names=("model",), lost={}, size_bytes=10, epoch="ep_1")
DAY_S, HOUR_S = 86_400.0, 3_600.0


def hosts(clock: FakeClock, cards: int = 2) -> FakeProvider:
    """Return a host with so many cards."""
    return FakeProvider(Offer(card="A100", total=cards, simulated=True), clock=clock)


@pytest.mark.parametrize("jump_s", [DAY_S, -HOUR_S])
def test_a_clock_that_jumps_bills_the_time_that_passed(play: Play, jump_s: float) -> None:
    """Nobody pays for a day that was not, and none of what ran is forgotten."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.send(request(1))
        await run.agent.message()
        await world.settled()
        await world.pass_time(10)
        world.clock.jump(jump_s)
        await world.pass_time(0)
        run.agent.say(Heartbeat(busy=True))
        await world.pass_time(20)
        run.agent.send(reply(1))
        await run.client.message()
        await world.pass_time(5)
        await world.plane.sessions.reset(run.session_id, "owner")
        seconds = {(entry.resource, entry.use): entry.seconds for entry in world.store.ledger.entries()}
        assert (seconds["cpu", "active"], seconds["cpu", "idle"]) == (30.0, 5.0)

    play(story)


@pytest.mark.parametrize("jump_s", [DAY_S, -HOUR_S])
def test_a_clock_that_jumps_neither_ends_nor_keeps_anything(play: Play, jump_s: float) -> None:
    """The idle window is as long as it was, whatever the time of day says."""

    async def story(world: Any) -> None:
        run = await world.running()
        await world.pass_time(200)
        world.clock.jump(jump_s)
        await world.pass_time(99)
        assert (await world.info(run.session_id)).container_state is ContainerState.IDLE
        await world.pass_time(2)
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        await run.client.hear(PeerDown)

    play(story)


def test_the_time_of_day_changes_only_when_it_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set in the middle of a round does not make what was a second ago a day old."""
    clock = SystemClock()
    true, before_s = time.time, clock.now()
    monkeypatch.setattr(time, "time", lambda: true() + DAY_S)
    assert clock.now() - before_s < HOUR_S
    assert clock.follow() == pytest.approx(DAY_S, abs=1)
    assert clock.now() - before_s >= DAY_S
    assert clock.follow() == pytest.approx(0, abs=1)


def test_a_cell_whose_row_was_lost_still_keeps_its_container(play: Play) -> None:
    """The control plane was killed before it wrote the cell down: the agent says that it works, and that counts."""
    clock = FakeClock()
    provider, known = hosts(clock), dict[str, Any]()

    async def before(world: Any) -> None:
        known["run"] = await world.running()

    async def after(world: Any) -> None:
        run = known["run"]
        agent = await world.agent(run.container_id, busy=True)
        await world.client(run.session_id)
        for _ in range(3):
            agent.say(Heartbeat(busy=True))
            await world.pass_time(301)
        assert (await world.info(run.session_id)).container_state is ContainerState.BUSY
        agent.say(Heartbeat(busy=False))
        await world.settled()
        await world.pass_time(301)
        await agent.hear(Hibernate)

    play(before, provider=provider, clock=clock)
    play(after, provider=provider, clock=clock)


def test_a_container_nobody_knows_is_turned_away(play: Play) -> None:
    """Its agent is told to stop, and it never appears on a bill."""

    async def story(world: Any) -> None:
        wire = Wire()
        wire.say(AgentHello(protocol=PROTOCOL, container_id="ctr_nobody", epoch="ep_1"))
        await world.plane.relay.serve_agent("ctr_nobody", wire.websocket)
        assert any(isinstance(said, Stop) for said in wire.notes())
        assert world.store.ledger.entries() == ()

    play(story)


def test_a_container_that_never_started_costs_nothing(play: Play) -> None:
    """The control plane was killed between writing it down and starting it: it failed, and its card is free."""
    clock = FakeClock()
    provider = hosts(clock, cards=1)

    async def after(world: Any) -> None:
        await world.settled()
        assert world.store.containers.live() == ()
        assert world.store.ledger.entries() == ()
        await world.running(kernel_id="kernel-2")

    async def never(world: Any) -> None:
        info = await world.open()
        session, placed = world.store.sessions.get(info.id), Placement(provider="fake", card="A100", count=1)
        await world.plane.starter._write_down(session, placed)

    play(never, provider=provider, clock=clock)
    clock.advance(60)
    play(after, provider=provider, clock=clock)


@pytest.mark.parametrize(("said_s", "billed_s"), [(12.0, 12.0), (None, 10.0)])
def test_an_end_is_when_it_was_said_else_when_last_heard(play: Play, said_s: float | None, billed_s: float) -> None:
    """An exit file counts, earlier or later than the last heartbeat; without one that heartbeat does."""
    clock = FakeClock()
    provider, known = hosts(clock), dict[str, Any]()

    async def before(world: Any) -> None:
        run = known["run"] = await world.running()
        await world.pass_time(10)
        run.agent.say(Heartbeat(busy=False))
        await world.settled()

    async def after(world: Any) -> None:
        [seconds] = {entry.seconds for entry in world.store.ledger.entries()}
        assert seconds == billed_s

    began_s = clock.now()
    play(before, provider=provider, clock=clock)
    provider.end(known["run"].container_id, "killed")
    ended_at_s = None if said_s is None else began_s + said_s
    provider._ended[known["run"].container_id] = Status(phase=Phase.GONE, cause="killed", ended_at_s=ended_at_s)
    clock.advance(50)
    play(after, provider=provider, clock=clock)


def test_an_exit_before_the_start_is_no_negative_bill(play: Play) -> None:
    """A clock that was set back between the two: the life has no length, and the ledger no line."""
    clock = FakeClock()
    provider, known = hosts(clock), dict[str, Any]()

    async def before(world: Any) -> None:
        known["run"] = await world.running()

    async def after(world: Any) -> None:
        row = world.store.containers.get(known["run"].container_id)
        assert row.ended_at_s == row.started_at_s
        assert world.store.ledger.entries() == ()

    play(before, provider=provider, clock=clock)
    gone = Status(phase=Phase.GONE, cause="killed", ended_at_s=clock.now() - HOUR_S)
    provider.end(known["run"].container_id, "killed")
    provider._ended[known["run"].container_id] = gone
    play(after, provider=provider, clock=clock)


def test_a_busy_orphan_has_its_time(play: Play) -> None:
    """A cell goes on for ten minutes without its notebook, then it is interrupted, saved, and not billed further."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.send(request(1))
        await run.agent.message()
        run.client.hang_up()
        await world.settled()
        for _ in range(9):
            run.agent.say(Heartbeat(busy=True))
            await world.pass_time(66)
        assert (await world.info(run.session_id)).container_state is ContainerState.BUSY
        await world.pass_time(10)
        await run.agent.hear(Hibernate)
        run.agent.send(reply(1, status="error"))
        run.agent.say(SAVED)
        await world.settled()
        assert (await world.info(run.session_id)).state is SessionState.HIBERNATED

    play(story)


def test_what_an_absent_notebook_has_not_got_is_kept_for_it(play: Play) -> None:
    """A cell ended while it was away: the idle window passes and the container stays, until it has taken the result."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.send(request(1))
        await run.agent.message()
        run.client.hang_up()
        await world.settled()
        run.agent.send(reply(1))
        await world.pass_time(301)
        assert (await world.info(run.session_id)).container_state is ContainerState.IDLE
        run.agent.say(Heartbeat(busy=False, outbox_messages=1))
        await world.pass_time(200)
        assert (await world.info(run.session_id)).container_state is ContainerState.IDLE
        await world.client(run.session_id)
        run.agent.say(Heartbeat(busy=False))
        await world.pass_time(1)
        await run.agent.hear(Hibernate)

    play(story)


def test_it_is_not_kept_for_ever(play: Play) -> None:
    """A notebook that does not come back for ten minutes finds the values, and not what was printed."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.hang_up()
        await world.settled()
        for _ in range(2):
            run.agent.say(Heartbeat(busy=False, outbox_messages=3))
            await world.pass_time(299)
        assert (await world.info(run.session_id)).container_state is ContainerState.IDLE
        await world.pass_time(3)
        await run.agent.hear(Hibernate)

    play(story)


def test_a_wanted_card_waits_for_what_is_kept(play: Play) -> None:
    """Who wants it waits as for a busy one, also under a control plane that came later; then it makes room."""
    clock = FakeClock()
    provider, known = hosts(clock, cards=1), dict[str, Any]()

    async def before(world: Any) -> None:
        known["run"] = await world.running()

    async def after(world: Any) -> None:
        run = known["run"]
        agent = await world.agent(run.container_id, outbox_messages=2)
        other = await world.open(kernel_id="kernel-2")
        client = await world.client(other.id)
        client.say(Wake())
        while (said := await client.hear(Progress)).phase != "queued":
            pass
        assert said.text.startswith("waiting for A100, you are next; held by another session for less than a minute")
        await world.client(run.session_id)
        clock.advance(1)
        await agent.hear(Hibernate)

    play(before, provider=provider, clock=clock)
    play(after, provider=provider, clock=clock)


def test_a_goodbye_ends_a_busy_container_at_once(play: Play) -> None:
    """Nobody will come back for what runs, so nobody pays for it."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.send(request(1))
        await run.agent.message()
        run.client.say(Goodbye())
        run.client.hang_up()
        await world.pass_time(1)
        await world.closed(run.session_id)
        [cell] = world.store.cells.list(run.session_id)
        assert cell.status is CellStatus.LOST

    play(story)


def test_a_pid_that_is_gone_counts_on_this_host_only(play: Play) -> None:
    """On another machine a number says nothing: its container waits for the notebook."""

    async def story(world: Any) -> None:
        elsewhere = Notebook(kernel_id="k", python="3.11", pid=2**22 + 1, boot_id="another-boot")
        run = await world.running(notebook=elsewhere)
        run.client.hang_up()
        await world.pass_time(200)
        assert (await world.info(run.session_id)).container_state is ContainerState.IDLE

    play(story)


def test_a_silent_container_is_let_go(play: Play) -> None:
    """Its agent went away and did not dial again: after two minutes it is ended, billed to when it was last heard."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.agent.hang_up()
        await world.pass_time(119)
        assert (await world.info(run.session_id)).container_id == run.container_id
        await world.pass_time(2)
        down = await run.client.hear(PeerDown)
        while not down.final:
            down = await run.client.hear(PeerDown)
        assert "nothing was heard of it" in down.why

    play(story)


def test_an_answer_that_never_came_does_not_keep_it_for_ever(play: Play, monkeypatch: Any) -> None:
    """It did not answer when it was to save, and its provider could not be reached: its end is written down later."""
    monkeypatch.setattr(ending, "SAVE_WITHIN_S", 0.01)

    async def story(world: Any) -> None:
        await world.running()
        stop, tries = world.provider.stop, []

        async def unreachable(handle: Any) -> None:
            tries.append(handle)
            if len(tries) == 1:
                raise OSError("the provider cannot be reached")
            await stop(handle)

        monkeypatch.setattr(world.provider, "stop", unreachable)
        await world.pass_time(301)
        for _ in range(5):
            await world.pass_time(1)
        assert world.store.containers.live() == ()
        assert len({entry.container_id for entry in world.store.ledger.entries()}) == 1

    play(story)


def test_a_locked_database_does_not_cost_the_state(play: Play, monkeypatch: Any) -> None:
    """Hibernation could not begin because it could not be written down: it is tried again, and saves."""

    async def story(world: Any) -> None:
        run = await world.running()
        move, tries = world.store.containers.move, []

        def fails_once(container_id: str, state: ContainerState, fence: int) -> bool:
            if state is ContainerState.HIBERNATING and not tries:
                tries.append(state)
                raise OSError("database is locked")
            return bool(move(container_id, state, fence))

        monkeypatch.setattr(world.store.containers, "move", fails_once)
        await world.pass_time(301)
        await world.pass_time(1)
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        assert (await run.client.hear(PeerDown)).why == "hibernated"
        await world.settled()
        assert (await world.info(run.session_id)).kept_names == ("model",)

    play(story)


def test_what_a_locked_database_did_not_take_is_written_when_it_does(play: Play, monkeypatch: Any) -> None:
    """A cell came and went while no row could be written: afterwards it is there, ended, and is no lost one."""

    async def story(world: Any) -> None:
        run = await world.running()
        record, tries = world.store.cells.record, []

        def fails_twice(started: Any, ended: Any) -> None:
            tries.append((len(started), len(ended)))
            if len(tries) < 3:
                raise StoreUnavailable("database is locked")
            record(started, ended)

        monkeypatch.setattr(tasks, "_AGAIN_AFTER_S", 0.001)
        monkeypatch.setattr(world.store.cells, "record", fails_twice)
        run.client.send(request(1))
        await run.agent.message()
        run.agent.send(reply(1))
        await run.client.message()
        await world.plane.parts.writes.flushed()
        assert len(tries) >= 3
        [cell] = world.store.cells.list(run.session_id)
        assert cell.status is CellStatus.OK
        assert cell.ended_at_s is not None

    play(story)
