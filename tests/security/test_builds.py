"""Packages that attack while they are built, compiled or asked: through the real uv, the real walls, real runtimes."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uv

from kernel_bridge.errors import BuildFailed
from kernel_bridge.protocol.images import ImageRecipe, Step
from remote_runtime.images.builder import Builder
from remote_runtime.images.pip_config import IndexOptions, PipOptions, read_pip_options
from remote_runtime.providers.cages import BuildCage
from remote_runtime.providers.payload import prepare_payload
from remote_runtime.providers.sandbox import CONFINED, OPEN, SANDBOXED, Ours, Sandbox
from tests.security.hostile_packages import hostile_sdist, write_wheel
from tests.security.intruders import AS_ROOT, Intruder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="walls are Linux's")

Story = Callable[[Builder], Awaitable[None]]


class Yard:
    """A data directory, a folder of packages, and the walls of this host."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.links = folder / "links"
        for each in (self.data, self.links):
            each.mkdir()
        self.sandbox = Sandbox(Ours(payload=prepare_payload(self.data / "payload"), scratch=folder / "roots"), {})

    def tell(self, story: Story) -> None:
        """Run a story with a builder of its own."""

        async def whole() -> None:
            host = read_pip_options(os.environ)
            index = host.index.plus(IndexOptions(find_links=(str(self.links),)))
            options, cage = PipOptions(index, host.variables), BuildCage.of(self.sandbox)
            builder = Builder(self.data, pip_options=options, uv=uv.find_uv_bin(), cage=cage)
            try:
                await story(builder)
            finally:
                await builder.aclose()

        asyncio.run(whole())


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """A yard with walls."""
    made = Yard(tmp_path)
    assert made.sandbox.word == (SANDBOXED if os.geteuid() == 0 else CONFINED)
    yield made
    made.sandbox.close()


def recipe(*steps: str) -> ImageRecipe:
    return ImageRecipe("debian_slim", "", tuple(Step("pip_install", (name,)) for name in steps))


def test_a_build_owns_nothing_and_changes_nothing(yard: Yard) -> None:
    """Its code finds no file of ours, no other environment and no cache; what it made is plain files of ours."""
    write_wheel(yard.links, "cbinnocent", {"cbinnocent.py": "VERSION = '1.0'\n"})
    cache = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache/uv")

    async def story(builder: Builder) -> None:
        lines: list[str] = []
        sibling = await builder.environment(recipe("cbinnocent"), print)
        places = [yard.data, yard.data / "images/layers", sibling.site_packages, cache, Path.home(), yard.links]
        (yard.data / "master.key").write_text("mine")
        seen = [yard.data / "master.key", yard.data / "images", sibling.site_packages, cache, Path("/etc/shadow")]
        hostile_sdist(yard.links, "cbhostile", seen=seen, written=places[1:])
        ready = await builder.environment(recipe("cbhostile"), lines.append)
        await builder.compiled()
        report = json.loads((ready.site_packages / "cbhostile/report.json").read_text())
        _walled(report, yard.sandbox.word)
        assert not [path for path in (*places, Path("/")) if (path / "mark-of-cbhostile").exists()]
        assert _printed(ready.python, "import cbhostile; print(cbhostile.VERSION)") == "1.0"
        assert any("Building cbhostile" in line for line in lines)
        assert not any("error" in line for line in lines)
        made = [(ready.site_packages / "cbhostile/tool").lstat(), (ready.site_packages / "cbhostile").lstat()]
        assert {(one.st_uid, one.st_mode & (stat.S_ISUID | stat.S_ISGID)) for one in made} == {(os.geteuid(), 0)}
        assert not _running("mark-of-cbhostile")
        assert not [left for left in (yard.data / "images/tmp").iterdir() if left.is_dir()]

    yard.tell(story)


def test_a_layer_is_built_the_same_way(yard: Yard) -> None:
    """And a second package that depends on a source is resolved before it is built."""
    hostile_sdist(yard.links, "cbhostilelayer")

    async def story(builder: Builder) -> None:
        environment = await builder.environment(recipe(), print)
        layer = await builder.layer(environment, ["cbhostilelayer==1.0"], print)
        _walled(json.loads((layer.path / "cbhostilelayer/report.json").read_text()), yard.sandbox.word)

    yard.tell(story)


def test_a_build_that_fails_shows_its_line(yard: Yard) -> None:
    """The package is named, the log has what it wrote, and nothing stays."""
    hostile_sdist(yard.links, "cbfailing", last="raise SystemExit('no compiler for failing here')")

    async def story(builder: Builder) -> None:
        lines: list[str] = []
        with pytest.raises(BuildFailed, match="`cbfailing`"):
            await builder.environment(recipe("cbfailing"), lines.append)
        assert any("no compiler for failing here" in line for line in lines)
        assert not [left for left in (yard.data / "images/tmp").iterdir() if left.is_dir()]

    yard.tell(story)


def test_nothing_installed_runs_outside(yard: Yard, tmp_path: Path) -> None:
    """Neither when more is installed beside it, nor when a layer is made for it, nor when it is compiled."""
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w')\n"
    hooks = dict.fromkeys(("sitecustomize.py", "usercustomize.py", "_manylinux.py", "compileall.py"), code)
    hooks |= {"cblurking.pth": f"import os; {code}", "cblurking.py": "VERSION = '1.0'\n"}
    write_wheel(yard.links, "cblurking", hooks)
    write_wheel(yard.links, "cbsecond", {"cbsecond.py": "VERSION = '1.0'\n"})

    async def story(builder: Builder) -> None:
        ready = await builder.environment(recipe("cblurking", "cbsecond"), print)
        await builder.layer(ready, ["cbsecond==1.0", "docutils==0.21.2"], print)
        await builder.compiled()
        assert (ready.site_packages / "cblurking.pth").is_file()
        assert (ready.site_packages / "cbsecond.py").is_file()
        assert not mark.exists()

    yard.tell(story)


@AS_ROOT
def test_root_without_walls_builds_nothing(yard: Yard) -> None:
    """One line says why; what has a wheel is installed. An operator who chose none is asked for none."""
    hostile_sdist(yard.links, "cbunwalled")
    write_wheel(yard.links, "cbinnocent", {"cbinnocent.py": "VERSION = '1.0'\n"})
    yard.sandbox.word, yard.sandbox.refusal = OPEN, "namespaces are shut"

    async def story(builder: Builder) -> None:
        with pytest.raises(BuildFailed, match=r"`cbunwalled` has no wheel, .* as root here, .*: namespaces are shut"):
            await builder.environment(recipe("cbunwalled"), print)
        assert ((await builder.environment(recipe("cbinnocent"), print)).site_packages / "cbinnocent.py").is_file()

    yard.tell(story)
    yard.sandbox.refusal = ""
    assert BuildCage.of(yard.sandbox) is None


class Customer(Intruder):
    """A notebook whose runtime finds packages in a folder its operator named."""

    def _environment(self) -> dict[str, str]:
        trusted = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
        return {**super()._environment(), **trusted, "PIP_FIND_LINKS": str(self.folder / "links")}


@pytest.mark.slow
@pytest.mark.timeout(180)  # two runtimes start, with empty caches
@pytest.mark.parametrize("mode", [pytest.param("sandboxed", marks=AS_ROOT), "confined"])
def test_a_runtime_builds_behind_its_walls(mode: str) -> None:
    """A cell asks for an image with a source package, which the runtime's own files are kept from."""
    with tempfile.TemporaryDirectory(prefix="cb", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "links").mkdir()
        secrets = [folder / "data/store.sqlite3", folder / "data/images", folder / "config", folder / "home"]
        hostile_sdist(folder / "links", "cbhostile", seen=secrets, written=[*secrets[1:], folder / "links"])
        customer = Customer(mode, folder)
        try:
            customer.local("import cellburst")
            image = "--image cellburst.Image.debian_slim().pip_install('cbhostile')"
            report = customer.cell(
                "import cbhostile, json, os\n"
                "result = json.load(open(os.path.join(os.path.dirname(cbhostile.__file__), 'report.json')))",
                session="builder",
                options=image,
            )
            assert customer.isolation() == mode
        finally:
            customer.close()
        _walled(report, mode)
        assert not [top for top, _, names in os.walk(folder) if "mark-of-cbhostile" in names]


def _walled(report: dict[str, object], word: str) -> None:
    """What hostile code says of itself is what the walls are for."""
    assert report["capabilities"] == "0" * 16
    assert report["variables"] == []
    tried = [report["seen"], report["written"], {"/": report["root"], "/proc/sys": report["mounted"]}]
    assert not [(path, how) for each in tried if isinstance(each, dict) for path, how in each.items() if how == "done"]
    outside = report["map"]
    assert isinstance(outside, list)
    if word == SANDBOXED:
        assert report["uid"] == 1000
        assert all(int(number) > 1_000_000_000 for number in outside[1::3])


def _printed(python: Path, code: str) -> str:
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _running(word: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in said:
            found.append(said)
    return found
