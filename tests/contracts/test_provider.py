"""What every provider promises. The fake passes the same, so it may take a provider's place in other tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.resources import parse_gpu
from remote_runtime.clock import SystemClock
from remote_runtime.providers import host
from remote_runtime.providers.base import ContainerSpec, Offer, Phase, Provider
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.process import ProcessProvider
from tests.dockers import docker_provider
from tests.engines import Engine
from tests.fakes import FakeProvider

Story = Callable[[Provider], Awaitable[None]]
Play = Callable[[Story], None]


ENGINES = [pytest.mark.docker, pytest.mark.timeout(600)]  # the first test of all makes the base image
KINDS = ("fake", "process", *(pytest.param(kind, marks=ENGINES) for kind in ("docker", "podman")))


@pytest.fixture(params=KINDS)
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Run a story with a provider that has one simulated A100, and end what the story left."""
    engine = request.getfixturevalue(f"{request.param}_engine") if request.param in ("docker", "podman") else None

    async def whole(story: Story) -> None:
        async with provided(request.param, tmp_path, engine) as provider:
            await story(provider)

    return lambda story: asyncio.run(whole(story))


@pytest.fixture
def spec(tmp_path: Path) -> ContainerSpec:
    return spec_in(tmp_path)


def spec_in(directory: Path, python: str = sys.executable) -> ContainerSpec:
    """Return a container that runs, though nobody answers where it dials."""
    container_id = new_id("container")
    for name in ("work", "state"):
        (directory / name).mkdir(exist_ok=True)
    config = ContainerConfig(
        container_id=container_id,
        session_id="ses_test",
        epoch="ep_test",
        control_url=f"unix:{directory}/nobody.sock",
        token="cb_" + "x" * 43,
        python=python,
        work_dir=str(directory / "work"),
        state_dir=str(directory / "state"),
    )
    return ContainerSpec(config=config, directory=directory / container_id)


@asynccontextmanager
async def provided(kind: str, directory: Path, engine: Engine | None = None) -> AsyncIterator[Provider]:
    provider: Provider
    if engine is not None:
        provider = docker_provider(engine, directory, simulated="A100:1")
    elif kind == "fake":
        provider = FakeProvider(Offer(card="A100", total=1, simulated=True))
    else:
        provider = process_provider(directory)
    try:
        yield provider
    finally:
        await provider.close()


def process_provider(directory: Path) -> ProcessProvider:
    return ProcessProvider(
        data_dir=directory / "data",
        runtime_dir=directory / "run",
        inventory=Inventory(parse_gpu("A100:1")),
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        clock=SystemClock(),
    )


def test_it_offers_its_cards(play: Play) -> None:
    """Simulated cards are told as such."""

    async def story(provider: Provider) -> None:
        assert list(await provider.offers()) == [Offer(card="A100", total=1, simulated=True)]

    play(story)


def test_what_was_started_runs_until_it_is_stopped(play: Play, spec: ContainerSpec) -> None:
    """After a stop it is gone, and when it ended is known; a second stop finds nothing to do."""

    async def story(provider: Provider) -> None:
        handle = await provider.start(spec)
        assert (await provider.poll(handle)).phase is Phase.RUNNING
        await provider.stop(handle)
        ended = await provider.poll(handle)
        assert ended.phase is Phase.GONE
        assert ended.cause
        assert ended.ended_at_s is not None
        await provider.stop(handle)
        assert await provider.poll(handle) == ended

    play(story)


def test_a_handle_is_plain_json(play: Play, spec: ContainerSpec) -> None:
    """It is stored, and means the same afterwards."""

    async def story(provider: Provider) -> None:
        handle = json.loads(json.dumps(await provider.start(spec)))
        assert (await provider.poll(handle)).phase is Phase.RUNNING
        await provider.stop(handle)

    play(story)


def test_a_container_nobody_knows_is_gone(play: Play) -> None:
    """A handle from elsewhere is neither an error nor alive, and may be stopped."""

    async def story(provider: Provider) -> None:
        assert (await provider.poll({})).phase is Phase.GONE
        await provider.stop({})

    play(story)


def test_a_later_control_plane_finds_what_runs(tmp_path: Path, spec: ContainerSpec) -> None:
    """Containers of the process provider outlive it and its zygotes; another one polls and stops them."""

    async def story() -> None:
        first = process_provider(tmp_path)
        handle = await first.start(spec)
        await first.close()
        second = process_provider(tmp_path)
        assert (await second.poll(handle)).phase is Phase.RUNNING
        await second.stop(handle)
        assert (await second.poll(handle)).phase is Phase.GONE
        await second.close()

    asyncio.run(story())


def test_a_killed_container_has_a_cause(tmp_path: Path, spec: ContainerSpec) -> None:
    """Where nothing was written down, it was killed; a process that got its number later is not it."""

    async def story() -> None:
        async with provided("process", tmp_path) as provider:
            handle = await provider.start(spec)
            assert (await provider.poll({**handle, "start_time": "1"})).phase is Phase.GONE
            host.kill_session(cast("int", handle["pid"]))
            async with asyncio.timeout(5):
                while (status := await provider.poll(handle)).phase is Phase.RUNNING:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert status.cause == "killed"
            await provider.stop(handle)  # its control groups go with it

    asyncio.run(story())


def test_what_it_is_told_is_for_its_eyes_only(tmp_path: Path, spec: ContainerSpec) -> None:
    """The file with token and secrets is gone as soon as it was read, and also when nothing could start."""

    async def story() -> None:
        async with provided("process", tmp_path) as provider:
            config = spec.directory / "config.json"
            handle = await provider.start(spec)
            assert not config.exists()
            await provider.stop(handle)
            with pytest.raises(StartFailed):
                await provider.start(replace(spec, config=replace(spec.config, python="/bin/false")))
            assert not config.exists()

    asyncio.run(story())


def test_a_python_that_does_not_start_says_so(tmp_path: Path) -> None:
    """An environment that is broken is an error of its own, not a wait without end."""

    async def story() -> None:
        async with provided("process", tmp_path) as provider:
            with pytest.raises(StartFailed, match="did not start"):
                await provider.start(spec_in(tmp_path, python=str(tmp_path / "no-python")))
            with pytest.raises(StartFailed, match="ended at once"):
                await provider.start(spec_in(tmp_path, python="/bin/false"))

    asyncio.run(story())


def test_a_zygote_that_died_is_replaced(tmp_path: Path) -> None:
    """The next container finds another parent."""

    async def story() -> None:
        provider = process_provider(tmp_path)
        first = await provider.start(spec_in(tmp_path))
        parent = int(Path(f"/proc/{first['pid']}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        await asyncio.sleep(0.05)
        second = await provider.start(spec_in(tmp_path))
        for handle in (first, second):
            assert (await provider.poll(handle)).phase is Phase.RUNNING
            await provider.stop(handle)
        await provider.close()

    asyncio.run(story())
