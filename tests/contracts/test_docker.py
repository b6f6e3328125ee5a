"""What the Docker provider promises beside the contract of all: images, causes, leftovers, on a real dockerd."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kernel_bridge.errors import StartFailed
from kernel_bridge.protocol.containers import Mount
from remote_runtime.providers.base import ContainerSpec, Handle, Phase
from remote_runtime.providers.docker.options import CONTAINER_LABEL
from remote_runtime.providers.docker.provider import DockerProvider
from tests.contracts.test_provider import spec_in
from tests.dockers import docker_provider
from tests.engines import IMAGE, Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
EMPTY = "cellburst-test-empty:1"
Play = Callable[[Callable[[DockerProvider], Awaitable[None]]], None]


@pytest.fixture
def spec(tmp_path: Path) -> ContainerSpec:
    return spec_in(tmp_path)


@pytest.fixture
def play(docker_engine: Engine, tmp_path: Path) -> Play:
    """Run a story with a provider, and end what it left."""

    async def whole(story: Callable[[DockerProvider], Awaitable[None]]) -> None:
        provider = docker_provider(docker_engine, tmp_path)
        try:
            await story(provider)
        finally:
            await provider.close()
            for container in of(docker_engine):
                docker_engine.run("rm", "--force", container)

    return lambda story: asyncio.run(whole(story))


def of(engine: Engine) -> list[str]:
    """Return the containers of sessions, running or not."""
    return engine.run("ps", "--all", "--quiet", "--filter", f"label={CONTAINER_LABEL}").stdout.split()


async def logged(spec: ContainerSpec, text: str) -> None:
    """Wait until a container's log says something."""
    async with asyncio.timeout(60):
        log = spec.directory / "agent.log"
        while not log.exists() or text not in log.read_text():  # noqa: ASYNC110 - a file has no events
            await asyncio.sleep(0.05)


async def gone(provider: DockerProvider, handle: Handle) -> str:
    """Wait for the end of a container and return its cause."""
    async with asyncio.timeout(60):
        while (status := await provider.poll(handle)).phase is Phase.RUNNING:  # noqa: ASYNC110 - nor has an engine
            await asyncio.sleep(0.05)
    return status.cause


def test_an_image_runs_as_it_is(play: Play, spec: ContainerSpec, docker_engine: Engine) -> None:
    """A recipe that is an image keeps its own interpreter and path; what the agent needs comes last."""

    async def story(provider: DockerProvider) -> None:
        handle = await provider.start(replace(spec, image=IMAGE))
        await logged(spec, "ready")
        told = json.loads(docker_engine.run("inspect", handle["container"]).stdout)[0]
        assert told["Config"]["Entrypoint"][0].startswith("/usr/bin/python3")
        assert told["Config"]["Entrypoint"][2] == "remote_runtime.agent.boot"
        await provider.stop(handle)

    play(story)


def test_no_secret_can_be_read_from_the_engine(play: Play, spec: ContainerSpec, docker_engine: Engine) -> None:
    """Whoever may inspect containers sees neither the token nor a secret's value."""
    config = replace(spec.config, env={"HF_TOKEN": "hf_hidden"}, secret_keys=("HF_TOKEN",))

    async def story(provider: DockerProvider) -> None:
        handle = await provider.start(replace(spec, config=config))
        shown = docker_engine.run("inspect", handle["container"]).stdout
        assert "hf_hidden" not in shown
        assert config.token not in shown
        await provider.stop(handle)

    play(story)


def test_an_image_that_is_nowhere_is_said(play: Play, spec: ContainerSpec) -> None:
    """The registry's answer is part of the message."""

    async def story(provider: DockerProvider) -> None:
        with pytest.raises(StartFailed, match=r"127\.0\.0\.1:1/none:1 is not on this host and could not be fetched: ."):
            await provider.start(replace(spec, image="127.0.0.1:1/none:1"))

    play(story)


def test_an_image_without_a_python_names_the_way_on(
    play: Play, spec: ContainerSpec, tmp_path: Path, docker_engine: Engine
) -> None:
    """So does one whose Python is not the notebook's."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    command = ["docker", "--host", docker_engine.url, "import", "-", EMPTY]
    subprocess.run(command, input=tar.getvalue(), check=True, capture_output=True)
    (tmp_path / "other" / "lib" / "python3.99" / "site-packages").mkdir(parents=True)

    async def story(provider: DockerProvider) -> None:
        with pytest.raises(StartFailed, match=f'has no Python.*add_python="{MINOR}"'):
            await provider.start(replace(spec, image=EMPTY))
        config = replace(spec.config, python=str(tmp_path / "other" / "bin" / "python"))
        with pytest.raises(StartFailed, match=rf'has Python {MINOR}, but the notebook has 3\.99.*add_python="3\.99"'):
            await provider.start(replace(spec, config=config, image=IMAGE))

    play(story)
    assert of(docker_engine) == []


def test_who_ended_it_is_told_apart(play: Play, tmp_path: Path, docker_engine: Engine) -> None:
    """Killed, stopped by somebody, and removed are three causes."""

    async def story(provider: DockerProvider) -> None:
        causes = []
        for command in (("kill",), ("stop",), ("rm", "--force")):
            handle = await provider.start(spec_in(tmp_path))
            docker_engine.run(*command, handle["container"])
            causes.append(await gone(provider, handle))
            await provider.stop(handle)
        assert causes == [
            "the container was ended by SIGKILL",
            "the container engine stopped it, or somebody by means of it",
            "somebody removed it from the container engine",
        ]

    play(story)


def test_a_later_control_plane_finds_what_runs(play: Play, spec: ContainerSpec, docker_engine: Engine) -> None:
    """Containers outlive the provider that started them; the next one polls, stops and removes them."""

    async def story(first: DockerProvider) -> None:
        handle = await first.start(spec)
        second = docker_provider(docker_engine, spec.directory.parent)
        assert (await second.poll(handle)).phase is Phase.RUNNING
        await second.stop(handle)
        assert (await second.poll(handle)).cause == "stopped"
        await second.close()
        assert of(docker_engine) == []

    play(story)


def test_leftovers_are_swept(play: Play, tmp_path: Path, docker_engine: Engine) -> None:
    """A container that is over, and whose folder is gone, belongs to nobody any more."""

    async def story(provider: DockerProvider) -> None:
        left = spec_in(tmp_path)
        handle = await provider.start(left)
        docker_engine.run("kill", handle["container"])
        left.directory.rename(tmp_path / "elsewhere")
        later = docker_provider(docker_engine, tmp_path)
        other = await later.start(spec_in(tmp_path))
        assert len(of(docker_engine)) == 1
        await later.stop(other)
        await later.close()

    play(story)


def test_a_folder_of_a_volume_is_shown_alone(play: Play, spec: ContainerSpec, tmp_path: Path) -> None:
    """A link that a cell left on the way leads nowhere."""
    volume = tmp_path / "volume"
    (volume / "part").mkdir(parents=True)
    (volume / "part" / "here").touch()
    (volume / "link").symlink_to("/etc")

    async def story(provider: DockerProvider) -> None:
        mount = Mount(source=str(volume), target="/models", below="part")
        handle = await provider.start(replace(spec, config=replace(spec.config, mounts=(mount,))))
        shown = Path("/proc", str(handle["pid"]), "root", "models")
        assert [path.name for path in shown.iterdir()] == ["here"]
        assert shown.stat().st_uid > 1_000_000
        await provider.stop(handle)
        other = spec_in(tmp_path)
        with pytest.raises(StartFailed, match="could not be mounted"):
            await provider.start(replace(other, config=replace(other.config, mounts=(replace(mount, below="link"),))))

    play(story)


def test_nothing_stays_mounted(play: Play, spec: ContainerSpec, tmp_path: Path) -> None:
    """What was mounted to be lent is gone from the host once the container has it."""

    async def story(provider: DockerProvider) -> None:
        handle = await provider.start(spec)
        assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
        await provider.stop(handle)

    play(story)


def test_an_engine_that_is_away_is_said(tmp_path: Path, spec: ContainerSpec) -> None:
    """It is not reachable, starts nothing, and knows nothing of a container whose process has gone."""

    async def story() -> None:
        provider = docker_provider(Engine("docker", tmp_path), tmp_path)
        assert not await provider.reachable()
        with pytest.raises(StartFailed, match="does not answer"):
            await provider.start(spec)
        handle = {"container": "x", "folder": str(tmp_path), "pid": 1, "start_time": "0", "boot_id": "0"}
        assert (await provider.poll(handle)).cause == "it ended while the container engine was away"
        await provider.stop(handle)
        await provider.close()

    asyncio.run(story())
