"""A hostile container writes nothing outside the notebook's folder, and nothing there that runs by itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext.files import LocalFiles
from jupyter_ext.landing import Seen, land
from kernel_bridge.codecs.hashing import digest
from kernel_bridge.protocol.cells import FileRef


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A notebook's folder with something precious beside it."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file.txt").write_text("precious")
    made = tmp_path / "notebook"
    made.mkdir()
    return made


def _bring(folder: Path, path: str, content: bytes = b"evil", **more: Any) -> tuple[str, str]:
    ref = FileRef(path=path, size_bytes=len(content), digest=digest(content), **more)
    data = None if more.get("kind", "file") != "file" or more.get("deleted") else content
    return land(LocalFiles(folder), ref, data, Seen(digests={path: digest(b"precious")}))


def _outside(folder: Path) -> dict[str, bytes | None]:
    found = (path for path in folder.parent.rglob("*") if not path.is_relative_to(folder))
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


_NAMES = [
    "../x", "../../x", "a/../../x", "/etc/x", "//etc/x", "../precious/file.txt", "a/b/../../../precious/file.txt", "..",
    ".", "", "a\0b", "./../x", "ln/x", "ln/file.txt", "ln", "deep/ln/x",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("name", _NAMES)
def test_no_name_leads_out(folder: Path, name: str, kind: str, deleted: bool) -> None:
    """Neither to write, nor to make a folder or a link, nor to delete."""
    (folder / "ln").symlink_to("../precious")
    (folder / "deep").mkdir()
    (folder / "deep" / "ln").symlink_to(folder.parent / "precious")
    before = _outside(folder)
    _bring(folder, name, kind=kind, deleted=deleted, target="../precious")
    assert _outside(folder) == before


@pytest.mark.parametrize("target", ["..", "../precious", "/etc", "a/../../precious", "./../../x", "ln2/../.."])
def test_no_link_that_leads_out_is_made(folder: Path, target: str) -> None:
    """So nothing that follows one later, here, writes elsewhere."""
    (folder / "ln2").symlink_to(".")
    _, notice = _bring(folder, "ln", kind="link", target=target)
    assert "leads out" in notice or not Path(os.path.realpath(folder / "ln")).is_relative_to(folder.parent / "precious")
    assert Path(os.path.realpath(folder / "ln")).is_relative_to(folder)


def test_a_link_cannot_be_bent_afterwards(folder: Path) -> None:
    """What was a harmless part of its way is not part of it any more."""
    (folder / "s").mkdir()
    _bring(folder, "s/x", kind="link", target="y/../..")
    _bring(folder, "s/y", kind="link", target="..")
    for link in ("s/x", "s/y"):
        assert Path(os.path.realpath(folder / link)).is_relative_to(folder)


@pytest.mark.parametrize(
    "name", [".git/hooks/pre-commit", ".GIT/config", "sub/.git/config", ".git./x", ".g\u200cit/x", ".git /x",
             "__pycache__/x.pyc", ".ipynb_checkpoints/x", ".ssh/authorized_keys", ".env", "id_rsa"]
)  # fmt: skip
def test_nothing_that_runs_or_opens_doors_is_written(folder: Path, name: str) -> None:
    """However its name is spelled."""
    assert "stayed remote" in _bring(folder, name)[1]
    assert list(folder.iterdir()) == []


def test_no_permission_comes_that_makes_another_user(folder: Path) -> None:
    """Setuid and its like stay behind."""
    _bring(folder, "x", mode=0o6755)
    assert stat.S_IMODE((folder / "x").stat().st_mode) == 0o755


def test_what_is_no_file_is_not_replaced(folder: Path) -> None:
    """A pipe that is here stays a pipe, and nobody waits for it."""
    os.mkfifo(folder / "pipe")
    _bring(folder, "pipe")
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)


def test_a_link_planted_as_the_temporary_file_is_not_followed(folder: Path) -> None:
    """The place of what is being written is known to who reads this code."""
    (folder / f".x.{os.getpid()}.part").symlink_to(folder.parent / "precious" / "file.txt")
    _bring(folder, "x")
    assert (folder.parent / "precious" / "file.txt").read_text() == "precious"


def test_a_hostile_cell_leaves_nothing_outside(shell: InteractiveShell) -> None:
    """Links out, hard links, pipes and devices in its folder: what is a plain file comes home, and nothing else."""
    result = shell.run_cell(
        "%%gpu A100\nimport os\nos.makedirs('h/s')\nos.symlink('/etc', 'h/etc'); os.symlink('../..', 'h/up')\n"
        "os.symlink('/tmp', 'h/tmp')\nopen('h/tmp/x.pwned', 'w').close()\nos.mkfifo('h/pipe')\n"
        "open('h/s/a', 'w').write('a'); os.link('h/s/a', 'h/b')\n"
        "try: os.mknod('h/dev', 0o600 | 0o020000, os.makedev(1, 3))\nexcept OSError: pass\n"
        "try: open('../x.pwned', 'w').close()\nexcept OSError: pass\n"
    )
    assert result.success, result.error_in_exec
    assert sorted(path.name for path in Path("h").rglob("*")) == ["a", "b", "s"]
    assert not [path for place in ("..", "/tmp", "/etc") for path in Path(place).glob("*.pwned")]
