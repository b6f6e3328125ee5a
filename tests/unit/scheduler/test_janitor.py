"""The janitor removes what nobody needs, and never what a session that stands may come back for."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kernel_bridge.protocol.sessions import SessionState
from remote_runtime.images.records import ImageStatus
from remote_runtime.scheduler.eviction import Kind
from tests.unit.scheduler.conftest import World

DAY_S = 86_400.0
LONG_S = 30 * DAY_S  # far more than anything is kept


@pytest.fixture
def tidy(play: Callable[..., None]) -> Callable[..., None]:
    """Run a story in which the janitor comes only when the story says so."""
    return partial(play, tidy_every_s=math.inf)


def build(world: World, folder: str, digest: str, size_bytes: int = 100) -> Path:
    """Put something on the builder's shelf, last wanted when the world began."""
    made = world.plane.builder.shelf._root / folder / digest
    made.mkdir(parents=True)
    (made / "module.py").write_bytes(b"x" * size_bytes)
    (made / "cellburst-ready.json").write_text("{}")
    old(made / "cellburst-ready.json", world)
    return made


def old(path: Path, world: World) -> None:
    os.utime(path, (world.clock.now(), world.clock.now()))


def note_environment(world: World, recipe_digest: str, environment: str) -> None:
    """Record which environment a recipe has, as the builder does."""
    world.plane.builder._records.image(
        ImageStatus(digest=recipe_digest, label="", base="", python="3.11", state="ready", environment=environment)
    )


def test_blobs_that_nobody_uses_go(tidy: Callable[..., None]) -> None:
    """One that is asked for stays; the other's row and file are gone."""

    async def story(world: World) -> None:
        blobs = world.store.blobs
        used, unused = blobs.put(b"used"), blobs.put(b"unused")
        world.clock.advance(6 * DAY_S)
        blobs.missing([used])
        world.clock.advance(2 * DAY_S)
        assert [one.name for one in await world.plane.janitor.tidy(dry_run=True)] == [unused]
        assert blobs.path(unused).exists()
        assert [(one.kind, one.name) for one in await world.plane.janitor.tidy()] == [(Kind.BLOB, unused)]
        assert not blobs.path(unused).exists()
        assert blobs.missing([used, unused]) == (unused,)

    tidy(story)


def test_a_budget_lets_blobs_go_earlier(tidy: Callable[..., None]) -> None:
    """The longest unused first, until the rest fits."""

    async def story(world: World) -> None:
        first = world.store.blobs.put(b"1" * 60)
        world.clock.advance(DAY_S)
        second = world.store.blobs.put(b"2" * 60)
        world.clock.advance(DAY_S)
        assert [one.name for one in await world.plane.janitor.tidy()] == [first]
        assert world.store.blobs.missing([first, second]) == (first,)

    tidy(story, blob_budget_bytes=100)


def test_what_a_standing_session_starts_from_stays(tidy: Callable[..., None]) -> None:
    """Hibernated for weeks, it wakes into the environment and the layers it had; those of nobody are gone."""

    async def story(world: World) -> None:
        running = await world.running()
        info = await world.info(running.session_id)
        needed, other = build(world, "env", "a" * 64), build(world, "env", "b" * 64)
        layer, stray = build(world, "layers", "c" * 64), build(world, "layers", "d" * 64)
        note_environment(world, info.spec.image.digest, "a" * 64)
        world.store.sessions.append_layer(info.id, str(layer))
        world.clock.advance(LONG_S)
        gone = await world.plane.janitor.tidy()
        assert {one.name for one in gone if one.kind in (Kind.ENVIRONMENT, Kind.LAYER)} == {
            f"env/{other.name}", f"layers/{stray.name}"
        }  # fmt: skip
        assert needed.exists() and layer.exists() and not other.exists() and not stray.exists()

    tidy(story)


def test_an_environment_wanted_just_now_is_not_taken(tidy: Callable[..., None]) -> None:
    """A session wakes between the decision and the removal: the builder has marked what it hands out."""

    async def story(world: World) -> None:
        made, shelf = build(world, "env", "a" * 64), world.plane.builder.shelf
        world.clock.advance(LONG_S)
        [(one, away)] = await world.plane.janitor._leavings._images()
        assert one.name == f"env/{made.name}"
        shelf.use("env", made.name)
        assert not await away()
        assert made.exists()

    tidy(story)


def test_whoever_comes_while_it_goes_gets_all_or_nothing(tidy: Callable[..., None]) -> None:
    """Many wake and many evict at once: an environment that was handed out is whole, then and afterwards."""

    async def story(world: World) -> None:
        shelf = world.plane.builder.shelf

        async def wake(digest: str) -> bool:
            await asyncio.sleep(0)
            shelf.use("env", digest)
            return (shelf._root / "env" / digest / "cellburst-ready.json").is_file()

        digests = [f"{number:064x}" for number in range(20)]
        made = [build(world, "env", digest) for digest in digests]
        world.clock.advance(LONG_S)
        doomed = await world.plane.janitor._leavings._images()
        assert len(doomed) == 20
        racing = [work for digest, (_, away) in zip(digests, doomed, strict=True) for work in (wake(digest), away())]
        answers = await asyncio.gather(*racing[::2], *racing[1::2])
        woken, went = answers[:20], answers[20:]
        assert [path.exists() for path in made] == woken
        assert [not gone for gone in went] == woken

    tidy(story)


def test_folders_of_ended_containers_go_but_for_the_latest(tidy: Callable[..., None]) -> None:
    """A session that stands for months has had many containers."""

    async def story(world: World) -> None:
        running = await world.running(name="standing")
        places = world.plane.parts.places
        folders = [places.container(running.session_id, name) for name in ("ctr_1", "ctr_2", running.container_id)]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            old(folder, world)
            world.clock.advance(1.0)
        world.clock.advance(2 * DAY_S)
        gone = await world.plane.janitor.tidy()
        assert {one.name for one in gone if one.kind is Kind.CONTAINER} == {f"{running.session_id}/ctr_1"}
        assert [folder.exists() for folder in folders] == [False, True, True]

    tidy(story)


def test_a_folder_deeper_than_pythons_stack_goes_too(tidy: Callable[..., None]) -> None:
    """Where cells have no walls they can make one, and the janitor must not stop at it for ever."""

    async def story(world: World) -> None:
        running = await world.running(name="standing")
        places = world.plane.parts.places
        dug, latest = (places.container(running.session_id, name) for name in ("ctr_1", "ctr_2"))
        for folder in (dug, latest):
            folder.mkdir(parents=True)
        here = os.open(dug, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            deeper = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
        os.close(here)
        old(dug, world)
        world.clock.advance(1.0)
        old(latest, world)
        world.clock.advance(2 * DAY_S)
        await world.plane.janitor.tidy()
        assert [folder.exists() for folder in (dug, latest)] == [False, True]

    tidy(story)


def test_folders_that_no_session_knows_go(tidy: Callable[..., None]) -> None:
    """What a crash left behind is removed; a session that stands keeps its files."""

    async def story(world: World) -> None:
        info = await world.open()
        places = world.plane.parts.places
        places.make("ses_0123456789abcdef")
        for folder in (places.session("ses_0123456789abcdef"), places.arena("ses_0123456789abcdef")):
            old(folder, world)
        old(places.session(info.id), world)
        world.clock.advance(DAY_S)
        assert [one.name for one in await world.plane.janitor.tidy()] == ["ses_0123456789abcdef"]
        assert not places.session("ses_0123456789abcdef").exists()
        assert not places.arena("ses_0123456789abcdef").exists()
        assert places.work(info.id).exists()

    tidy(story)


def test_a_session_nobody_uses_is_closed(tidy: Callable[..., None]) -> None:
    """One without a container and without a notebook; a connected notebook keeps it."""

    async def story(world: World) -> None:
        left, kept = await world.open(kernel_id="left"), await world.open(kernel_id="kept")
        await world.client(kept.id)
        world.clock.advance(8 * DAY_S)
        await world.plane.janitor.tidy()
        assert (await world.info(left.id)).state is SessionState.CLOSED
        assert (await world.info(kept.id)).state is SessionState.OPEN
        assert not world.plane.parts.places.session(left.id).exists()

    tidy(story)


def test_rows_of_closed_sessions_are_forgotten_and_the_ledger_is_not(tidy: Callable[..., None]) -> None:
    """After the time for records nothing but the bill remains."""

    async def story(world: World) -> None:
        running = await world.running()
        world.clock.advance(10)
        await world.plane.sessions.close(running.session_id, "enough")
        lines = world.store.ledger.entries()
        world.clock.advance(91 * DAY_S)
        await world.plane.janitor.tidy()
        with pytest.raises(Exception, match="no session"):
            world.store.sessions.get(running.session_id)
        assert lines and world.store.ledger.entries() == lines

    tidy(story)


def test_the_janitor_comes_by_itself(play: Callable[..., None]) -> None:
    """Its first round is soon after the start."""

    async def story(world: World) -> None:
        digest = world.store.blobs.put(b"unused")
        await asyncio.sleep(0)
        world.clock.advance(8 * DAY_S)
        async with asyncio.timeout(10):
            while world.store.blobs.path(digest).exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    play(story)
