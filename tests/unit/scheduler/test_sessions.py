"""A session's life, from the first request to the last line of its bill."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kernel_bridge.errors import BuildFailed, CellburstError, NoCapacity, NotFound, PythonMismatch
from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.notes import Goodbye, Hibernate, PeerDown, Progress, Refused, Saved, Wake
from kernel_bridge.protocol.sessions import ContainerState, Notebook, SessionState, VolumeMount
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.providers.base import Offer
from remote_runtime.store.rows import CellStatus
from tests.fakes import FakeClock, FakeProvider, reply, request

Play = Callable[..., None]
SAVED = Saved(names=("model",), lost={}, size_bytes=10, epoch="ep_1")


def test_opening_starts_nothing(play: Play) -> None:
    """A session has a card, a rate and an arena before it costs anything; the second request finds it."""

    async def story(world: Any) -> None:
        info = await world.open()
        again = await world.open()
        assert (info.card, info.simulated, info.new, again.new) == ("A100", True, True, False)
        assert info.id == again.id
        assert info.rate_microusd_per_h > 0
        assert info.container_id == ""
        assert world.plane.parts.places.arena(info.id).stat().st_mode & 0o777 == 0o700
        assert world.provider.started == []

    play(story)


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"gpu": "H100"}, NoCapacity, "1 A100 (simulated)"),
        ({"image": ImageRecipe(python="3.12")}, PythonMismatch, 'python_version="3.11"'),
        ({"volumes": (VolumeMount("models", "/m"),)}, NotFound, "cellburst volume create models"),
        ({"secrets": ("hf",)}, NotFound, "cellburst secret create hf KEY=VALUE"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(
    play: Play, asked: dict[str, Any], error: type[CellburstError], says: str
) -> None:
    """The error says what to do, and no session is left behind."""

    async def story(world: Any) -> None:
        with pytest.raises(error) as refused:
            await world.open(**asked)
        assert says in str(refused.value)
        assert await world.plane.sessions.list("owner") == []

    play(story)


def test_a_cell_is_recorded_and_billed(play: Play) -> None:
    """From start to end it is charged; the seconds a cell ran are active, the others idle."""

    async def story(world: Any) -> None:
        run = await world.running()
        world.clock.advance(2)
        run.client.send(request(1))
        await run.agent.message()
        world.clock.advance(5)
        run.agent.send(reply(1))
        await run.client.message()
        [cell] = await world.plane.sessions.cells(run.session_id, "owner")
        assert (cell.status, cell.ended_at_s - cell.started_at_s) == (CellStatus.OK, 5.0)
        world.clock.advance(3)
        await world.plane.sessions.reset(run.session_id, "owner")
        seconds = {(entry.resource, entry.use): entry.seconds for entry in world.store.ledger.entries()}
        assert seconds["gpu A100", "active"] == 5.0
        assert seconds["gpu A100", "idle"] == 5.0

    play(story)


def test_secrets_and_volumes_reach_the_container(play: Play) -> None:
    """Variables are in its environment, volumes at their paths, and its token opens nothing else."""

    async def story(world: Any) -> None:
        parts = world.plane.parts
        parts.secrets.put("hf", {"HF_TOKEN": "s3cret"})
        parts.volumes.create("models")
        mount = VolumeMount("models", "/models", read_only=True)
        await world.running(secrets=("hf",), volumes=(mount,))
        [asked] = world.provider.started
        assert asked.config.env["HF_TOKEN"] == "s3cret"
        assert [(one.target, one.read_only) for one in asked.config.mounts] == [("/models", True)]
        assert world.store.tokens.authenticate(asked.config.token).container_id == asked.config.container_id

    play(story)


def test_an_idle_session_hibernates_and_wakes(play: Play) -> None:
    """State saved, container gone, bill closed; the next wake gets the same namespace and directory."""

    async def story(world: Any) -> None:
        run = await world.running()
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        down = await run.client.hear(PeerDown)
        assert (down.why, down.final) == ("hibernated", True)
        await world.settled()
        asleep = await world.info(run.session_id)
        assert (asleep.state, asleep.kept_names, asleep.container_id) == (SessionState.HIBERNATED, ("model",), "")
        spent = asleep.spent_microusd
        world.clock.advance(1000)
        assert (await world.info(run.session_id)).spent_microusd == spent > 0
        run.client.say(Wake())
        woken = await world.woken(run.session_id, run.client)
        first, second = (asked.config for asked in world.provider.started)
        assert (second.epoch, second.state_dir) == ("ep_1", first.state_dir)
        awake = await world.info(run.session_id)
        assert (awake.state, awake.container_id, awake.kept_names) == (SessionState.OPEN, woken.container_id, ())

    play(story)


def test_a_container_whose_state_cannot_be_saved_stays(play: Play) -> None:
    """It costs on, and says so; the next idle window tries again, and the cell in between runs."""

    async def story(world: Any) -> None:
        run = await world.running()
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.agent.say(replace(SAVED, failed="OSError: no space left on device"))
        said = await run.client.hear(Progress)
        assert "no space left" in said.text
        assert (await world.info(run.session_id)).state is SessionState.OPEN
        await world.pass_time(301)
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        assert (await run.client.hear(PeerDown)).why == "hibernated"

    play(story)


def test_a_wake_says_what_it_waits_for(play: Play) -> None:
    """Lines of the build, then the phases, in order."""

    async def story(world: Any) -> None:
        world.images.lines = ("Resolved 3 packages",)
        info = await world.open()
        client = await world.client(info.id)
        client.say(Wake())
        await world.started(info.id)
        await world.settled()
        said = [(note.phase, note.line) for note in client.notes() if isinstance(note, Progress)]
        assert said == [("building", ""), ("building", "Resolved 3 packages"), ("starting", "")]

    play(story)


def test_a_container_that_goes_away_is_a_lost_session(play: Play) -> None:
    """The notebook is told the cause, the cell is lost, the next container has another namespace."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.send(request(1))
        await run.agent.message()
        await world.settled()
        world.clock.advance(4)
        world.provider.end(run.container_id, "it was killed (SIGKILL)")
        run.agent.hang_up()
        await run.client.hear(PeerDown)
        await world.pass_time(1)
        down = await run.client.hear(PeerDown)
        assert (down.final, down.why) == (True, "it was killed (SIGKILL)")
        await world.settled()
        [cell] = world.store.cells.list(run.session_id)
        assert cell.status is CellStatus.LOST
        assert world.store.containers.get(run.container_id).ended_at_s == world.clock.now() - 1
        run.client.say(Wake())
        await world.woken(run.session_id, run.client)
        first, second = (asked.config for asked in world.provider.started)
        assert first.epoch != second.epoch

    play(story)


def test_a_card_that_idles_is_given_to_who_needs_it(play: Play) -> None:
    """The other session hibernates, told as waiting."""

    async def story(world: Any) -> None:
        first = await world.running()
        await world.settled()
        info = await world.open(kernel_id="kernel-2")
        client = await world.client(info.id)
        client.say(Wake())
        await first.agent.hear(Hibernate)
        first.agent.say(SAVED)
        await world.woken(info.id, client)
        assert (await world.info(first.session_id)).state is SessionState.HIBERNATED

    play(story)


def test_a_failed_build_is_told_and_costs_nothing(play: Play) -> None:
    """The notebook gets the error's code and line; the next wake tries again."""

    async def story(world: Any) -> None:
        world.images.fails = BuildFailed("No solution found for nonsense==1.")
        info = await world.open()
        client = await world.client(info.id)
        client.say(Wake())
        refused = await client.hear(Refused)
        assert (refused.code, refused.detail) == ("build_failed", "No solution found for nonsense==1.")
        await world.settled()
        assert world.store.ledger.entries() == ()
        world.images.fails = None
        client.say(Wake())
        await world.woken(info.id, client)

    play(story)


def test_a_goodbye_ends_the_session(play: Play) -> None:
    """A kernel that ended never comes back for a session of its own: container, state and arena go."""

    async def story(world: Any) -> None:
        run = await world.running()
        run.client.say(Goodbye())
        run.client.hang_up()
        await world.pass_time(0.1)
        await world.closed(run.session_id)
        assert not world.plane.parts.places.arena(run.session_id).exists()

    play(story)


def test_a_kernel_that_died_on_this_host_is_noticed(play: Play) -> None:
    """Its process is gone, so nobody waits for it, whatever runs."""

    async def story(world: Any) -> None:
        boot_id = world.provider.ground.boot_id
        run = await world.running(notebook=Notebook(kernel_id="k", python="3.11", pid=2**22 + 1, boot_id=boot_id))
        run.client.send(request(1))
        await run.agent.message()
        run.client.hang_up()
        await world.pass_time(0.1)
        await world.closed(run.session_id)

    play(story)


def test_a_pin_keeps_it_warm_until_then(play: Play) -> None:
    """Idle time does not end it before the pin does."""

    async def story(world: Any) -> None:
        run = await world.running()
        await world.plane.sessions.pin(run.session_id, "owner", world.clock.now() + 1000)
        await world.pass_time(999)
        assert (await world.info(run.session_id)).container_state is ContainerState.IDLE
        await world.pass_time(2)
        await run.agent.hear(Hibernate)

    play(story)


def test_kept_state_has_its_time(play: Play) -> None:
    """After seven days the state of a hibernated session is gone; its notebook, which is there, is told what it was."""

    async def story(world: Any) -> None:
        run = await world.running()
        stopping = asyncio.ensure_future(world.plane.sessions.stop(run.session_id, "owner"))
        await run.agent.hear(Hibernate)
        run.agent.say(SAVED)
        assert (await stopping).state is SessionState.HIBERNATED
        await world.pass_time(7 * 86400 + 1)
        empty = await world.info(run.session_id)
        assert (empty.state, empty.kept_names, empty.kept_bytes) == (SessionState.OPEN, (), 0)
        assert empty.lost == {"model": "state is kept for 7 days, which are over"}
        assert empty.epoch not in {"", "ep_1"}
        assert not world.plane.parts.places.state(run.session_id).exists()

    play(story)


def test_packages_become_a_layer_of_the_session(play: Play) -> None:
    """The next container starts with it."""

    async def story(world: Any) -> None:
        info = await world.open()
        layer = await world.plane.sessions.add_layer(info.id, "owner", ["scikit-learn==1.6.1"])
        assert (await world.info(info.id)).layers == (layer.path,)

    play(story)


def test_another_owners_session_is_not_found(play: Play) -> None:
    """It is as if it were not there."""

    async def story(world: Any) -> None:
        info = await world.open()
        with pytest.raises(NotFound):
            await world.plane.sessions.info(info.id, "someone else")

    play(story)


def test_an_embedded_runtime_leaves_when_nothing_is_left(play: Play) -> None:
    """Not while a notebook is connected, and not before its time."""

    async def story(world: Any) -> None:
        info = await world.open()
        client = await world.client(info.id)
        await world.pass_time(100)
        assert world.left == []
        client.hang_up()
        await world.pass_time(1)
        await world.pass_time(58)
        assert world.left == []
        await world.pass_time(2)
        assert world.left == ["left"]

    play(story, embedded=True)


def test_a_later_control_plane_adopts_what_runs(play: Play) -> None:
    """The container goes on with its cell; one that ended meanwhile is billed to when it ended."""
    clock = FakeClock()
    provider = FakeProvider(Offer(card="A100", total=2, simulated=True), clock=clock)
    known: dict[str, Any] = {}

    async def before(world: Any) -> None:
        known["stays"] = await world.running()
        known["ends"] = await world.running(kernel_id="kernel-2")
        known["stays"].client.send(request(1))
        await known["stays"].agent.message()
        await world.settled()

    async def after(world: Any) -> None:
        stays, ends = known["stays"], known["ends"]
        assert world.store.containers.get(ends.container_id).ended_at_s == known["ended_at_s"]
        client = await world.client(stays.session_id, stream=stays.container_id, received=0)
        agent = await world.agent(stays.container_id, received=1, busy=True)
        agent.send(reply(1))
        await client.message()
        [cell] = await world.plane.sessions.cells(stays.session_id, "owner")
        assert cell.status is CellStatus.OK
        assert world.provider.started == known["started"]

    play(before, provider=provider, clock=clock)
    clock.advance(10)
    provider.end(known["ends"].container_id, "agent ended")
    known["ended_at_s"], known["started"] = clock.now(), list(provider.started)
    clock.advance(10)
    play(after, provider=provider, clock=clock)


def test_a_container_that_saved_itself_is_asleep_not_lost(play: Play) -> None:
    """Without a control plane it saves and ends; what its exit says it kept, the next wake finds."""
    clock = FakeClock()
    provider = FakeProvider(Offer(card="A100", total=1, simulated=True), clock=clock)
    known: dict[str, Any] = {}

    async def before(world: Any) -> None:
        known["run"] = await world.running()

    async def after(world: Any) -> None:
        await world.settled()
        asleep = await world.info(known["run"].session_id)
        assert (asleep.state, asleep.kept_names, asleep.epoch) == (SessionState.HIBERNATED, ("model",), "ep_1")

    play(before, provider=provider, clock=clock)
    provider.end(known["run"].container_id, "agent ended", saved=to_wire(SAVED))
    play(after, provider=provider, clock=clock)
