"""Images made by a real container engine: each test builds with dockerd."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from kernel_bridge.errors import BadImage, BuildFailed
from kernel_bridge.sdk.image import Image
from kernel_bridge.sdk.secret import Secret
from remote_runtime.images.builder import Builder
from remote_runtime.images.engine import BuildOptions, Built, EngineBuild
from remote_runtime.images.engine_api import EngineApi
from remote_runtime.images.engine_builder import NOBODY, EngineBuilder
from remote_runtime.images.pip_config import IndexOptions, PipOptions, read_pip_options
from tests.engines import IMAGE, Engine, engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine whose only image is a Debian with Python, which has the names that the official one has."""
    with engine("docker") as made:
        folder = tmp_path_factory.mktemp("base")
        (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN ln -s python3 /usr/bin/python\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_BUILDKIT", "0")
            made.run("build", "--network=none", "--tag", f"python:{MINOR}-slim", str(folder))
        yield made


class Builds:
    """Builds images and keeps what was said."""

    def __init__(self, dockerd: Engine, options: BuildOptions) -> None:
        self.dockerd = dockerd
        self.options = options
        self.lines: list[str] = []

    def build(self, image: Image, *, owner: str = "", secrets: Mapping[str, str] | None = None) -> Built:
        """Build an image; `lines` is its log."""
        self.lines = []
        api = EngineApi(self.options.url)
        try:
            made = EngineBuild(api, self.options, self.lines.append, secrets or {}, owner)
            return made.run(image.recipe)
        finally:
            api.close()

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what the engine knows of an image."""
        found: dict[str, Any] = json.loads(self.dockerd.run("image", "inspect", image).stdout)[0]
        return found

    def cat(self, built: Built, command: str) -> str:
        """Return what a command prints in the image."""
        done = self.dockerd.run("run", "--rm", "--network=none", "--entrypoint=/bin/sh", built.image, "-c", command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def builds(dockerd: Engine, tmp_path: Path) -> Builds:
    """A builder whose commands have the host's network and its settings."""
    pip = read_pip_options(dict(os.environ))
    return Builds(
        dockerd, BuildOptions(url=dockerd.url, pip=pip, uv=find_uv_bin(), scratch=tmp_path / "scratch", network="host")
    )


def test_every_step_is_in_the_image(builds: Builds, tmp_path: Path) -> None:
    """Commands, files, variables, functions: in their order, with the configuration the calls say."""
    (tmp_path / "a.txt").write_text("a file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/b.txt").write_text("b")
    image = (
        Image.debian_slim(MINOR)
        .env({"GREETING": "hello $HOME", "PATH_OF_MINE": "/x"})
        .add_local_file(tmp_path / "a.txt", "/srv/", copy=True)
        .add_local_dir(tmp_path / "folder", "/srv/folder", copy=True)
        .run_commands("cat /srv/a.txt /srv/folder/b.txt > /out", "echo \"$GREETING\" >> /out\necho 'two'>> /out")
        .run_function(write_there, args=["/there"])
        .workdir("/srv/deep")
        .run_commands("pwd > /where")
        .entrypoint(["/usr/bin/env", "-u", "X"])
    )
    built = builds.build(image)
    assert (built.python, built.cached) == (MINOR, False)
    assert builds.cat(built, "cat /out /there /where") == "a filebhello $HOME\ntwo\nfrom a function/srv/deep"
    config = builds.inspect(built.image)["Config"]
    assert config["Entrypoint"] == ["/usr/bin/env", "-u", "X"]
    assert (config["WorkingDir"], config["Cmd"]) == ("/srv/deep", None)
    assert {"GREETING=hello $HOME", "PATH_OF_MINE=/x"} <= set(config["Env"])
    assert builds.build(image) == replace(built, cached=True)
    assert all(line.endswith("there already") for line in builds.lines)


def write_there(path: str) -> None:
    pathlib.Path(path).write_text("from a function")


def test_a_later_step_is_built_anew_from_there(builds: Builds, tmp_path: Path) -> None:
    """What comes before it is found; a file that changed is another step."""
    base = Image.debian_slim(MINOR).run_commands("date +%N > /first")
    (tmp_path / "a").write_text("1")
    one = builds.build(base.add_local_file(tmp_path / "a", "/a", copy=True).run_commands("cp /a /b"))
    (tmp_path / "a").write_text("2")
    two = builds.build(base.add_local_file(tmp_path / "a", "/a", copy=True).run_commands("cp /a /b"))
    assert [line.endswith("there already") for line in builds.lines if line.startswith("step")] == [True, False, False]
    assert builds.cat(one, "cat /first") == builds.cat(two, "cat /first")
    assert (builds.cat(one, "cat /b"), builds.cat(two, "cat /b")) == ("1", "2")
    forced = builds.build(Image.debian_slim(MINOR).run_commands("date +%N > /first", force_build=True))
    assert builds.cat(forced, "cat /first") != builds.cat(one, "cat /first")


def test_a_step_that_fails_is_named(builds: Builds) -> None:
    """With how it exited and its last line; nothing is left running, and the steps before it are kept."""
    image = Image.debian_slim(MINOR).run_commands("echo fine", "echo the reason >&2; exit 3")
    with pytest.raises(BuildFailed, match=r"`run_commands\(.*` exited with 3: the reason\. Correct"):
        builds.build(image)
    assert "the reason" in builds.lines
    assert builds.dockerd.run("ps", "--all", "--quiet").stdout == ""
    with pytest.raises(BuildFailed, match=r"`dockerfile_commands\('COPY nowhere /x'\)` failed: .*nowhere"):
        builds.build(Image.debian_slim(MINOR).dockerfile_commands("COPY nowhere /x"))


def test_a_secret_is_for_one_step_and_in_nothing(builds: Builds) -> None:
    """Its value is a variable of that command, and neither in a log, a layer, a history nor a configuration."""
    image = (
        Image.debian_slim(MINOR)
        .run_commands('echo "it is $TOKEN"; test "${#TOKEN}" = 12', secrets=[Secret("hf")])
        .run_commands('test -z "$TOKEN" && ls -A /dev > /devices')
    )
    built = builds.build(image, owner="me", secrets={"TOKEN": "hidden-value"})
    assert "it is ****" in builds.lines
    assert builds.cat(built, "cat /devices | grep cellburst || true") == "cellburst"  # while it runs
    assert builds.cat(built, "ls -A /dev | grep cellburst || true") == ""
    history = builds.dockerd.run("history", "--no-trunc", built.image).stdout
    assert "hidden-value" not in history + json.dumps(builds.inspect(built.image)) + "".join(builds.lines)
    saved = builds.options.scratch.parent / "saved.tar"
    builds.dockerd.run("save", "--output", str(saved), built.image)
    assert b"hidden-value" not in saved.read_bytes()
    with pytest.raises(BuildFailed):
        builds.build(image, owner="you", secrets={"TOKEN": "another"})


def test_packages_come_by_the_hosts_settings(builds: Builds, tmp_path: Path) -> None:
    """Indexes, certificates and local wheels of the host are lent; the image holds the package and none of them."""
    built = builds.build(Image.debian_slim(MINOR).pip_install("six").uv_pip_install("toolz"))
    assert builds.cat(built, "python3 -c 'import six, toolz; print(six.moves.range(2))'") == "range(0, 2)"
    made = json.dumps(builds.inspect(built.image)["Config"])
    assert not [name for name in ("SSL_CERT_FILE", "PIP_", "UV_", "cellburst") if name in made]
    away = replace(builds.options, pip=PipOptions(IndexOptions(no_index=True)))
    with pytest.raises(BuildFailed, match=r"`pip_install\('nowhere-at-all'\)` exited with 1: .*nowhere-at-all"):
        Builds(builds.dockerd, away).build(Image.debian_slim(MINOR).pip_install("nowhere-at-all"))


def test_a_pin_that_our_agent_cannot_live_with_is_named(builds: Builds) -> None:
    """At build time, with the name of the package."""
    with pytest.raises(BuildFailed, match="ipykernel"):
        builds.build(Image.debian_slim(MINOR).pip_install("ipykernel==6.29.5"))


@pytest.mark.slow
def test_debian_packages_are_installed(builds: Builds) -> None:
    """By the distribution's own tool."""
    built = builds.build(Image.debian_slim(MINOR).apt_install("tree"))
    assert builds.cat(built, "tree --version").startswith("tree v")


DOCKERFILE = """ARG VERSION=0
FROM {base} AS first
ARG VERSION
RUN mkdir -p /made && echo "version $VERSION" > /made/version && ln -s version /made/link
FROM {base}
SHELL ["/bin/bash", "-c"]
ENV A=1 B="two words"
COPY --from=first /made /made
COPY . /context
RUN [[ -d /made ]] && useradd --create-home person && install -o person -m 600 /dev/null /made/mine
USER person
WORKDIR /home/person
RUN touch here
ENTRYPOINT ["/bin/bash"]
CMD ["-c", "true"]
"""


def test_a_dockerfile_gives_what_docker_build_gives(
    builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files, with owners and rights, and the same configuration; and what we add runs as it says."""
    folder = tmp_path / "context"
    (folder / "sub").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=IMAGE))
    (folder / ".dockerignore").write_text("*.log\n!keep.log\nDockerfile\n")
    for name in ("a.log", "keep.log", "sub/b.log", "run.sh"):
        (folder / name).write_text(name)
    (folder / "run.sh").chmod(0o755)
    command = ["build", "--network=host", "--build-arg", "VERSION=7", "--tag", "theirs", str(folder)]
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    done = builds.dockerd.run(*command)
    assert done.returncode == 0, done.stderr
    image = Image.from_dockerfile(folder / "Dockerfile", build_args={"VERSION": "7"})
    built = builds.build(image)
    theirs = Built(image="theirs", python="", cached=False)
    tree = "cd / && find made context home -printf '%p %y %m %u %s %l\\n' | sort"
    assert builds.cat(built, tree) == builds.cat(theirs, tree)
    assert "keep.log" in builds.cat(built, tree)
    assert without_ids(builds.inspect(built.image)) == without_ids(builds.inspect("theirs"))
    more = builds.build(image.run_commands('[[ "$(id -un)" == person ]] && pwd > where'))
    assert builds.cat(more, "cat /home/person/where") == "/home/person"
    kept, before = builds.inspect(more.image)["Config"], builds.inspect(built.image)["Config"]
    assert {name: kept[name] for name in ("User", "Cmd", "Entrypoint", "Env", "Shell", "WorkingDir")} == {
        name: before[name] for name in ("User", "Cmd", "Entrypoint", "Env", "Shell", "WorkingDir")
    }


def without_ids(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """Return an image's configuration without what is another each time."""
    return {name: value for name, value in inspected["Config"].items() if name not in ("Image", "Hostname")}


def test_an_image_without_python_says_how_to_get_one(builds: Builds, tmp_path: Path) -> None:
    """Before a container is started for a cell."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY a /a\n")
    (tmp_path / "a").write_text("")
    with pytest.raises(BadImage, match=r"has no Python: .*add_python"):
        builds.build(Image.from_dockerfile(tmp_path / "Dockerfile"))
    with pytest.raises(BuildFailed, match="could not be fetched"):
        builds.build(Image.from_registry("localhost:1/nothing:here"))


def test_two_people_who_ask_at_once_share_one_build(builds: Builds, tmp_path: Path) -> None:
    """Both see its lines; it runs once. Afterwards the catalogue knows it, and what nobody needs can go."""
    asyncio.run(two_people_ask(builds, tmp_path))


async def two_people_ask(builds: Builds, tmp_path: Path) -> None:
    image = Image.debian_slim(MINOR).run_commands("echo once; date +%N > /when", force_build=True)
    builder = Builder(
        tmp_path / "data",
        pip_options=builds.options.pip,
        uv=find_uv_bin(),
        engine=EngineBuilder(builds.options, timeout_s=300),
    )
    lines: tuple[list[str], list[str]] = [], []
    try:
        one, two = await asyncio.gather(*(builder.environment(image.recipe, said.append) for said in lines))
        assert one.image == two.image
        assert [said.count("once") for said in lines] == [1, 1]
        assert "once" in builder.catalogue.log(image.digest)
        assert (await builder.environment(image.recipe, lines[0].append)).cached
        assert "once" in builder.catalogue.log(image.digest)
        [status] = [each for each in builder.catalogue.images() if each.digest == image.digest]
        assert (status.state, status.image, status.python) == ("ready", one.image, MINOR)
        assert status.size_bytes > 1 << 20
        assert await builder.catalogue.lock(image.digest) == ""  # Debian's Python alone
        await builder.catalogue.prune()
        assert builds.inspect(one.image)
        builder.catalogue.forget(image.digest)
        assert await builder.catalogue.prune() >= 1
        assert builds.dockerd.run("image", "inspect", one.image).returncode != 0
    finally:
        await builder.aclose()


def test_a_build_that_is_given_up_ends_its_command(builds: Builds) -> None:
    """Its container goes, too; so it is with one that takes too long."""
    asyncio.run(give_up(builds))


async def give_up(builds: Builds) -> None:
    builder = EngineBuilder(builds.options, timeout_s=300)
    image = Image.debian_slim(MINOR).run_commands("echo begun; sleep 600", force_build=True)
    begun = asyncio.Event()
    waiting = asyncio.ensure_future(
        builder.build(image.recipe, NOBODY, lambda line: begun.set() if line == "begun" else None)
    )
    await asyncio.wait_for(begun.wait(), 60)
    await builder.aclose()
    await asyncio.gather(waiting, return_exceptions=True)
    assert builds.dockerd.run("ps", "--all", "--quiet").stdout == ""
    hasty = EngineBuilder(builds.options, timeout_s=3)
    with pytest.raises(BuildFailed, match="longer than 3 s"):
        await hasty.build(image.recipe, NOBODY, lambda line: None)
    assert builds.dockerd.run("ps", "--all", "--quiet").stdout == ""
