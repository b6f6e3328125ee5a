"""What comes out of a build, and what is shared between environments, is looked at first."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from remote_runtime.images.bytecode import BytecodeStore
from remote_runtime.images.cage import Room
from remote_runtime.images.interpreter import own_minor
from remote_runtime.images.pip_config import IndexOptions, local_places, without_local_places
from remote_runtime.images.scripts import relocate_scripts
from remote_runtime.images.uv import wants_building

VERSION = own_minor()


class Open:
    """A cage without walls."""

    refusal = ""
    shows_named = True
    variables: Mapping[str, str] = {}

    def own(self, path: Path) -> None:
        """Everybody is who we are."""

    def command(
        self, folder: Path, python: Path, readable: Iterable[Path], opened: ExitStack
    ) -> tuple[list[str], list[int]]:
        """Nothing is in between."""
        return [], []


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A room that is furnished."""
    made = Room(tmp_path / "room", Open())
    made.furnish()
    return made


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "large", "absent"])
def test_only_a_plain_file_is_taken(room: Room, kind: str) -> None:
    """No link is followed, nothing blocks, and what is too large stays."""
    lure = room.inside / "a.whl"
    match kind:
        case "link":
            lure.symlink_to("/etc/hostname")
        case "folder":
            lure.mkdir()
        case "pipe":
            os.mkfifo(lure)
        case "large":
            lure.touch()
            os.truncate(lure, 1 << 30)
    assert not room.take(lure, 1 << 20, room.wheels / "a.whl")
    assert not (room.wheels / "a.whl").exists()


def test_rights_stay_behind(room: Room) -> None:
    """The copy is ours, and no program for anybody's user."""
    (room.inside / "a.whl").write_text("wheel")
    (room.inside / "a.whl").chmod(0o6755)
    assert room.take(room.inside / "a.whl", 1 << 20, room.wheels / "a.whl")
    assert not (room.wheels / "a.whl").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


def test_a_room_is_discarded_whatever_is_in_it(room: Room, tmp_path: Path) -> None:
    """Closed folders are opened, links are not followed."""
    (tmp_path / "kept").mkdir(mode=0o500)
    (room.inside / "out").symlink_to(tmp_path / "kept")
    (room.inside / "shut/deeper").mkdir(parents=True)
    (room.inside / "shut").chmod(0)
    room.discard()
    assert not room.path.exists()
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o500


def test_a_forged_list_reaches_nobody_else(tmp_path: Path) -> None:
    """Neither modules that are not what is listed, nor compiled forms that came along, nor paths that lead out."""
    genuine, forged = {"mod.py": "VALUE = 1\n"}, {"mod.py": "VALUE = 2\n"}
    store = BytecodeStore(tmp_path / "store")
    for name, files, claimed in (
        ("forged", forged, genuine),
        ("escaping", {"a/b.py": "", "c.py": ""}, {"a/../c.py": "", "a/../../out.py": ""}),
    ):
        _install(tmp_path / name, name, files, claimed)
        asyncio.run(store.compile(sys.executable, tmp_path / name, VERSION, {}))
        assert not list((tmp_path / "store").rglob("*.pyc"))
    shipped = tmp_path / "shipping/__pycache__" / f"mod.{sys.implementation.cache_tag}.pyc"
    _install(tmp_path / "shipping", "shipping", genuine, genuine)
    shipped.parent.mkdir()
    shipped.write_bytes(b"mine")
    asyncio.run(store.compile(sys.executable, tmp_path / "shipping", VERSION, {}))
    [kept] = (tmp_path / "store").rglob("*.pyc")
    assert kept.read_bytes() != b"mine"


def test_hooks_do_not_run_when_modules_are_compiled(tmp_path: Path) -> None:
    """The interpreter starts without what is installed, and a module named like one of its own is only compiled."""
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    files = dict.fromkeys(("sitecustomize.py", "compileall.py", "json.py"), code) | {"a.pth": f"import os; {code}"}
    _install(tmp_path / "site", "hooks", files, files)
    asyncio.run(BytecodeStore(tmp_path / "store").compile(sys.executable, tmp_path / "site", VERSION, {}))
    assert (tmp_path / "site/__pycache__" / f"json.{sys.implementation.cache_tag}.pyc").is_file()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("head", ["#!{0}\n", "#!/bin/sh\n'''exec' '{0}' \"$0\" \"$@\"\n' '''\n"])
def test_a_script_runs_the_python_beside_it(tmp_path: Path, head: str) -> None:
    """Wherever its environment is renamed to; the file it shared with other environments is left alone."""
    (tmp_path / "bin").mkdir()
    shared = tmp_path / "shared"
    shared.write_text(head.format(sys.executable) + "import sys; print(sys.argv[1])\n")
    os.link(shared, tmp_path / "bin/tool")
    (tmp_path / "bin/other").write_text("#!/bin/sh\necho other\n")
    relocate_scripts(tmp_path / "bin", sys.executable)
    (tmp_path / "bin/python").symlink_to(sys.executable)
    (tmp_path / "bin").rename(tmp_path / "moved")
    done = subprocess.run([str(tmp_path / "moved/tool"), "said"], capture_output=True, text=True, check=True)
    assert done.stdout == "said\n"
    assert sys.executable in shared.read_text()
    assert (tmp_path / "moved/other").read_text() == "#!/bin/sh\necho other\n"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("hint: Wheels are required for `a` because building from source is disabled for all packages", ("a",)),
        ("  cause: Building source distributions for `b-c` is disabled", ("b-c",)),
        ("error: Building source distributions is disabled", ("",)),
        ("error: No solution found when resolving dependencies", ()),
    ],
)
def test_what_wants_building(line: str, names: tuple[str, ...]) -> None:
    """uv's words for a distribution without a wheel, and for other troubles."""
    assert wants_building(["Resolved nothing", line]) == names


def test_places_of_this_host(tmp_path: Path) -> None:
    """They are told from addresses."""
    index = IndexOptions(f"file://{tmp_path}", ("https://index.example/simple",), (str(tmp_path), "/not/there"))
    assert local_places(index) == (tmp_path, tmp_path)
    assert without_local_places(index) == IndexOptions(extra_index_urls=("https://index.example/simple",))


def _install(site: Path, name: str, files: Mapping[str, str], claimed: Mapping[str, str]) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    (info / "RECORD").write_text("".join(f"{path},sha256={_digest(text)},1\n" for path, text in claimed.items()))


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
