"""Environments and layers, really built by uv from small packages made here."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uv

from kernel_bridge.errors import BadImage, BadRequest, BuildFailed, NotFound
from kernel_bridge.protocol.images import ImageRecipe, Step
from remote_runtime.images.builder import Builder
from remote_runtime.images.pip_config import IndexOptions, PipOptions, read_pip_options
from remote_runtime.images.records import Environment

NOTEBOOK = ImageRecipe()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheels of our own: no index is asked for them."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, version in (("tinyone", "1.0"), ("tinytwo", "2.0"), ("tinylabel", "1.0+here")):
        _write_wheel(folder, name, version)
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data directory: what one test built, the next finds."""
    return tmp_path_factory.mktemp("data")


def make_builder(data_dir: Path, wheels: Path) -> Builder:
    """A builder with this host's settings that also knows the folder of wheels."""
    host = read_pip_options(os.environ)
    index = host.index.plus(IndexOptions(find_links=(str(wheels),)))
    return Builder(data_dir, pip_options=PipOptions(index, host.variables), uv=uv.find_uv_bin())


def run(data_dir: Path, wheels: Path, story: Callable[[Builder], Awaitable[None]]) -> None:
    """Run a story with a builder of its own loop."""

    async def whole() -> None:
        builder = make_builder(data_dir, wheels)
        try:
            await story(builder)
        finally:
            await builder.aclose()

    asyncio.run(whole())


def test_a_notebook_environment_can_host_a_kernel(data_dir: Path, wheels: Path) -> None:
    """It is moved into place whole, its Python imports what agent and kernel need, and the second time it is there."""

    async def story(builder: Builder) -> None:
        lines: list[str] = []
        ready = await builder.environment(NOTEBOOK, lines.append)
        imports = "import ipykernel.ipkernel, cloudpickle, websockets, xxhash, blake3, sys; print(sys.prefix)"
        assert _printed(ready, imports) == str(ready.path)
        assert any("ipykernel" in line for line in lines)
        assert (
            builder.catalogue.log(NOTEBOOK.digest)
            == builder.catalogue.log(ready.digest)
            == "".join(f"{line}\n" for line in lines)
        )
        again = await builder.environment(NOTEBOOK, lines.append)
        assert (ready.cached, again.cached, again.path) == (False, True, ready.path)
        assert again.seconds < 1
        assert not [left for left in (data_dir / "images/tmp").iterdir() if left.is_dir()]

    run(data_dir, wheels, story)


def test_many_askers_get_one_build(tmp_path: Path, wheels: Path) -> None:
    """Two builders on one directory stand for two processes."""
    recipe = ImageRecipe("debian_slim", "", (Step("pip_install", ("tinyone",)),))

    async def story(builder: Builder) -> None:
        other = make_builder(tmp_path, wheels)
        lines: list[list[str]] = [[], [], []]
        asked = zip((builder, builder, other), lines, strict=True)
        ready = await asyncio.gather(*(one.environment(recipe, said.append) for one, said in asked))
        await other.aclose()
        assert len({one.path for one in ready}) == 1
        assert lines[0] == lines[1]
        assert sorted(bool(said) for said in (lines[0], lines[2])) == [False, True]
        assert (ready[0].site_packages / "tinyone.py").is_file()

    run(tmp_path, wheels, story)


def test_a_package_that_does_not_exist_is_named(data_dir: Path, wheels: Path) -> None:
    """With uv's own failing line; nothing half built stays, and the status and the log say the same."""
    recipe = ImageRecipe("debian_slim", "", (Step("pip_install", ("tinyone", "no-such-package-of-cellburst==9")),))

    async def story(builder: Builder) -> None:
        with pytest.raises(BuildFailed, match="`no-such-package-of-cellburst==9`: Because no-such-package"):
            await builder.environment(recipe, lambda line: None)
        status = next(image for image in builder.catalogue.images() if image.digest == recipe.digest)
        assert (status.state, "no-such-package" in status.detail) == ("failed", True)
        assert "No solution found" in builder.catalogue.log(recipe.digest)
        assert not (data_dir / "images/env" / status.environment).exists()

    run(data_dir, wheels, story)


def test_a_layer_holds_exactly_its_pins(data_dir: Path, wheels: Path) -> None:
    """It is importable beside the environment, without what the environment has itself."""

    async def story(builder: Builder) -> None:
        environment = await builder.environment(NOTEBOOK, lambda line: None)
        layer = await builder.layer(
            environment, ["tinytwo==2.0", "ipykernel==7.1.0", "tinyone==1.0"], lambda line: None
        )
        assert layer.requirements == ("tinyone==1.0", "tinytwo==2.0")
        assert _imported(environment, layer.path, "tinyone, tinytwo") == "1.0 2.0"
        assert not (layer.path / "ipykernel").exists()
        again = await builder.layer(environment, ["tinyone==1.0", "tinytwo==2.0"], lambda line: None)
        assert (layer.cached, again.cached, again.path) == (False, True, layer.path)

    run(data_dir, wheels, story)


def test_a_layer_of_what_is_there_already_is_empty(data_dir: Path, wheels: Path) -> None:
    """The caller need not know what the environment holds."""

    async def story(builder: Builder) -> None:
        environment = await builder.environment(NOTEBOOK, lambda line: None)
        layer = await builder.layer(environment, ["ipykernel==7.1.0"], lambda line: None)
        assert layer.requirements == ()
        assert layer.path.is_dir()

    run(data_dir, wheels, story)


def test_a_layer_that_cannot_be_had_says_which_pin(data_dir: Path, wheels: Path) -> None:
    """A version nobody has, and a requirement that is no pin."""

    async def story(builder: Builder) -> None:
        environment = await builder.environment(NOTEBOOK, lambda line: None)
        with pytest.raises(BuildFailed, match=r"`tinyone==7\.7`"):
            await builder.layer(environment, ["tinytwo==2.0", "tinyone==7.7"], lambda line: None)
        with pytest.raises(BadRequest, match="exact version"):
            await builder.layer(environment, ["tinyone"], lambda line: None)

    run(data_dir, wheels, story)


def test_a_local_label_is_kept_where_its_wheel_is(data_dir: Path, wheels: Path) -> None:
    """`tinylabel==1.0+here` lies in find-links; `tinyone==1.0+there` is taken as 1.0."""

    async def story(builder: Builder) -> None:
        environment = await builder.environment(NOTEBOOK, lambda line: None)
        layer = await builder.layer(environment, ["tinylabel==1.0+here", "tinyone==1.0+there"], lambda line: None)
        assert layer.requirements == ("tinylabel==1.0+here", "tinyone==1.0")
        assert _imported(environment, layer.path, "tinylabel, tinyone") == "1.0+here 1.0"

    run(data_dir, wheels, story)


def test_modules_are_compiled_once_and_shared(data_dir: Path, wheels: Path) -> None:
    """Another layer with the same distribution starts with its compiled modules: the same file."""

    async def story(builder: Builder) -> None:
        environment = await builder.environment(NOTEBOOK, lambda line: None)
        first = await builder.layer(environment, ["tinytwo==2.0"], lambda line: None)
        await builder.compiled()
        compiled = f"__pycache__/tinytwo.{sys.implementation.cache_tag}.pyc"
        second = await builder.layer(environment, ["tinytwo==2.0", "tinylabel==1.0+here"], lambda line: None)
        assert (second.path / compiled).samefile(first.path / compiled)
        assert (environment.site_packages / "IPython/__pycache__").is_dir()

    run(data_dir, wheels, story)


def test_files_and_variables_of_a_recipe(data_dir: Path, wheels: Path) -> None:
    """Files are mounted, sources are layers, and the virtual environment is the plain one."""
    text = base64.b64encode(zlib.compress(b"VALUE = 3\n")).decode()
    steps = (
        Step("env", ("A=1",)),
        Step("workdir", ("/work",)),
        Step("add_local_file", ("/data/a.txt", "", text)),
        Step("add_local_dir", ("/data/b", "sub/c.txt", text)),
        Step("add_local_python_source", ("", "mine.py", text)),
    )

    async def story(builder: Builder) -> None:
        plain = await builder.environment(NOTEBOOK, lambda line: None)
        ready = await builder.environment(ImageRecipe(steps=steps), lambda line: None)
        assert ready.path == plain.path
        assert (ready.env, ready.workdir) == ({"A": "1"}, "/work")
        assert [mount.target for mount in ready.mounts] == ["/data/a.txt", "/data/b"]
        assert [_text(mount.source) for mount in ready.mounts[:1]] == ["VALUE = 3\n"]
        assert (Path(ready.mounts[1].source) / "sub/c.txt").is_file()
        assert (Path(ready.layers[0]) / "mine.py").is_file()

    run(data_dir, wheels, story)


def test_a_build_that_is_cancelled_leaves_nothing(tmp_path: Path, wheels: Path) -> None:
    """The runtime's end ends its builds; the next one starts from a clean place."""
    recipe = ImageRecipe("debian_slim", "", (Step("pip_install", ("tinytwo",)),))

    async def story(builder: Builder) -> None:
        started = asyncio.Event()
        asked = asyncio.create_task(builder.environment(recipe, lambda line: started.set()))
        await started.wait()
        await builder.aclose()
        (result,) = await asyncio.gather(asked, return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError)
        assert not [left for left in (tmp_path / "images/tmp").iterdir() if left.is_dir()]
        assert (await builder.environment(recipe, lambda line: None)).python.exists()

    run(tmp_path, wheels, story)


def test_a_python_that_is_not_here_says_what_to_install(data_dir: Path, wheels: Path) -> None:
    """And which version is here."""

    async def story(builder: Builder) -> None:
        with pytest.raises(BadImage, match=r"No Python 3\.98 on this host: install it"):
            await builder.environment(ImageRecipe("debian_slim", "3.98"), lambda line: None)

    run(data_dir, wheels, story)


@pytest.mark.parametrize("digest", ["0" * 64, "../recipes/x", ""])
def test_a_log_that_is_not_there(data_dir: Path, wheels: Path, digest: str) -> None:
    """Nothing outside the logs can be read by that name."""

    async def story(builder: Builder) -> None:
        with pytest.raises(NotFound):
            builder.catalogue.log(digest)

    run(data_dir, wheels, story)


def _imported(environment: Environment, layer: Path, modules: str) -> str:
    """Import from a layer in the environment's own Python; return the modules' versions."""
    names = modules.split(", ")
    printed = ", ".join(f"{name}.VERSION" for name in names)
    return _printed(environment, f"import sys; sys.path.append({str(layer)!r}); import {modules}; print({printed})")


def _text(path: str) -> str:
    return Path(path).read_text()


def _printed(environment: Environment, code: str) -> str:
    command = [str(environment.python), "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items()]
    files[f"{info}/RECORD"] = "".join(lines) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def test_an_evicted_environment_is_built_again(tmp_path: Path, wheels: Path) -> None:
    """Whoever asks while it goes gets a whole one: what it was, or another."""
    recipe = ImageRecipe("debian_slim", "", (Step("pip_install", ("tinyone",)),))

    async def story(builder: Builder) -> None:
        first = await builder.environment(recipe, print)
        await builder.compiled()
        name = f"env/{first.digest}"
        assert name in builder.names_of(recipe)
        [used_at_s] = [stored.used_at_s for stored in builder.shelf.stock() if stored.name == name]
        asked = asyncio.ensure_future(builder.environment(recipe, print))
        await asyncio.sleep(0)  # it has marked what it wants, or not yet
        doomed = builder.shelf.take(name, used_at_s)
        again = await asked
        assert again.cached == (doomed is None)
        assert _printed(again, "import tinyone; print(tinyone.__name__)") == "tinyone"

    run(tmp_path, wheels, story)
