"""Volumes in cells: folders, versions, commits from a cell, two writers, the model cache."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.client.embedded import ensure_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.volumes import VolumeRoutes
from kernel_bridge.config import ClientConfig
from tests.state.conftest import config, shell  # noqa: F401 - fixtures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Shelf:
    """A fresh volume, and the notebook whose cells mount it: there it is called `shelf`."""

    shell: InteractiveShell
    routes: VolumeRoutes
    name: str

    def ran(self, cell: str) -> str:
        """Run a cell; return what it printed and the error it ended with."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            result = self.shell.run_cell(cell.replace(shelf.name, self.name))
        error = result.error_before_exec or result.error_in_exec
        return said.getvalue() + (f"{type(error).__name__}: {error}" if error else "")


@pytest.fixture
def shelf(shell: InteractiveShell, request: pytest.FixtureRequest) -> Iterator[Shelf]:  # noqa: F811 - as above
    name = f"shelf-{zlib.crc32(request.node.name.encode()):x}"
    with ControlPlane(ensure_runtime(ClientConfig.load())) as plane:
        plane.volume_routes.create(name)
        yield Shelf(shell, plane.volume_routes, name)


def test_a_folder_and_a_version_are_mounted(shelf: Shelf) -> None:
    """A folder is made where it may be written; a version is what was committed, and read only."""
    assert "Error" not in shelf.ran("%%gpu --quiet --volume shelf/a/b:/b\nopen('/b/f', 'w').write('one')")
    shelf.routes.commit(shelf.name, "first")
    assert "Error" not in shelf.ran("%%gpu --quiet --volume shelf:/s\nopen('/s/a/b/f', 'w').write('two')")
    look = "%%gpu --quiet --volume shelf@1:/old --volume shelf:/new\n"
    assert "one two" in shelf.ran(look + "print(open('/old/a/b/f').read(), open('/new/a/b/f').read())")
    assert "Read-only file system" in shelf.ran(look + "open('/old/a/b/f', 'w')")
    assert "one" in shelf.ran("%%gpu --quiet --volume shelf@1/a/b:/b\nprint(open('/b/f').read())")
    assert "no version 7" in shelf.ran("%%gpu --quiet --volume shelf@7:/b\n1")
    assert "cellburst volume log" in shelf.ran("%%gpu --quiet --volume shelf@7:/b\n1")


def test_a_link_is_no_folder_to_mount(shelf: Shelf) -> None:
    """What a cell left in the volume leads nobody out of it, not even the next mount."""
    shelf.ran("%%gpu --quiet --volume shelf:/s\nimport os\nos.symlink('/etc', '/s/trap')\nos.mkdir('/s/real')")
    assert "is a link in this volume" in shelf.ran("%%gpu --quiet --volume shelf/trap:/t\n1")
    assert "is a link in this volume" in shelf.ran("%%gpu --quiet --volume shelf/trap/ssl:/t:ro\n1")
    assert shelf.routes.files(shelf.name)[1].kind == "link"


def test_two_sessions_see_each_other_and_the_last_writer_wins(shelf: Shelf) -> None:
    """What one writes the other reads at once; of two that write one file the later stays, each in its commit."""
    one = "%%gpu --quiet --session one --volume shelf:/s\nimport cellburst\nv = cellburst.Volume.from_name('shelf')\n"
    two = one.replace("--session one", "--session two")
    assert "1" in shelf.ran(one + "open('/s/f', 'w').write('of one'); print(v.commit('by one'))")
    assert "of one" in shelf.ran(two + "v.reload(); print(open('/s/f').read())")
    assert "2" in shelf.ran(two + "open('/s/f', 'w').write('of two'); print(v.commit('by two'))")
    assert "of two 2" in shelf.ran(one + "print(open('/s/f').read(), v.reload())")
    assert [version.message for version in shelf.routes.log(shelf.name)] == ["by two", "by one"]
    assert shelf.routes.read_small(shelf.name, "f", 1)[0] == b"of one"


def test_a_cell_commits_only_what_it_may_write(shelf: Shelf) -> None:
    """A volume that is mounted read-only, or not at all, is not the cell's to commit."""
    shelf.routes.create(f"{shelf.name}-other")
    commit = "import cellburst\ncellburst.Volume.from_name({!r}).commit()"
    assert "Forbidden" in shelf.ran("%%gpu --quiet --volume shelf:/s:ro\n" + commit.format("shelf"))
    assert "Forbidden" in shelf.ran("%%gpu --quiet --volume shelf:/s\n" + commit.format("shelf-other"))
    assert shelf.routes.log(shelf.name) == shelf.routes.log(f"{shelf.name}-other") == ()


def test_files_are_used_in_place_in_a_cell(shelf: Shelf) -> None:
    """The SDK says where the files are instead of reading them over the runtime."""
    cell = "%%gpu --quiet --volume shelf:/s\nimport cellburst\ncellburst.Volume.from_name('shelf').listdir()"
    assert "at the path it is mounted at" in shelf.ran(cell)
    assert shelf.routes.files(shelf.name) == ()


def test_the_first_start_fills_the_model_cache(shelf: Shelf) -> None:
    """The volume is made, libraries are told where it is, and what one session fetched another finds."""
    fill = (
        "import os, cellburst\n"
        "def fetch():\n"
        "    print('fetching')\n"
        "    open(os.path.join(os.environ['HF_HOME'], 'weights'), 'w').write('w')\n"
        "print('filled', cellburst.fill_once('weights', fetch), os.environ['TORCH_HOME'])"
    )
    first = shelf.ran(f"%%gpu --quiet --session one --model-cache weights\n{fill}")
    assert "fetching" in first
    assert "filled True /model-cache/torch" in first
    second = shelf.ran(f"%%gpu --quiet --session two --model-cache weights\n{fill}")
    assert "fetching" not in second
    assert "filled False" in second
    assert any(entry.path == "huggingface/weights" for entry in shelf.routes.files("weights", recursive=True))
