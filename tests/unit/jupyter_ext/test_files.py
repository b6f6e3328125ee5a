"""Which files travel, and what happens to those that come home."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_ext.files import LocalFiles, looks_secret
from jupyter_ext.landing import Seen, land
from kernel_bridge.codecs.hashing import digest
from kernel_bridge.protocol.cells import FileRef


def written(path: str, content: bytes = b"new") -> FileRef:
    return FileRef(path=path, size_bytes=len(content), digest=digest(content))


def home(folder: Path, ref: FileRef, data: bytes | None, base: str = "") -> tuple[str, str]:
    return land(LocalFiles(folder), ref, data, Seen(digests={ref.path: base} if base else {}))


def test_files_below_the_folder_are_found_by_any_spelling(tmp_path: Path) -> None:
    """Relative, absolute and dotted paths name one file, which is listed once."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_bytes(b"1,2")
    files = LocalFiles(tmp_path)
    found = files.named(["data/a.csv", str(tmp_path / "data" / "a.csv"), "./data/../data/a.csv", "a.csv", "data"])
    assert [(file.path, file.size_bytes, file.digest) for file in found] == [("data/a.csv", 3, digest(b"1,2"))]


def test_nothing_outside_the_folder_travels(tmp_path: Path) -> None:
    """Neither by dots, nor by an absolute path, nor through a link."""
    inside, outside = tmp_path / "inside", tmp_path / "outside.txt"
    inside.mkdir()
    outside.write_text("x")
    (inside / "link.txt").symlink_to(outside)
    assert LocalFiles(inside).named(["../outside.txt", str(outside), "link.txt", "/etc/hostname", "\0"]) == []


@pytest.mark.parametrize(
    "path",
    [".env", "a/.env.local", "id_rsa", "keys/server.pem", ".netrc", "credentials", "credentials.json", ".ssh/config",
     ".aws/config", "client_secret_1.json", "TLS.KEY", ".git-credentials"],
)  # fmt: skip
def test_credential_files_never_travel(tmp_path: Path, path: str) -> None:
    """Their name or folder gives them away."""
    target = tmp_path / path
    target.parent.mkdir(exist_ok=True, parents=True)
    target.write_text("secret")
    files = LocalFiles(tmp_path)
    assert looks_secret(path)
    assert files.named([path]) == []
    _, notice = home(tmp_path, written(path), b"new", digest(b"secret"))
    assert "stayed remote" in notice
    assert target.read_text() == "secret"


def test_a_changed_file_is_hashed_anew(tmp_path: Path) -> None:
    """The hash is remembered for one state of the file only."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    files = LocalFiles(tmp_path)
    before = files.named(["a.txt"])[0].digest
    file.write_text("three")
    assert files.named(["a.txt"])[0].digest != before


def test_a_file_comes_home(tmp_path: Path) -> None:
    """Folders are made as needed; a file that only the container changed is replaced."""
    assert home(tmp_path, written("out/r.txt"), b"new") == ("out/r.txt", "")
    assert home(tmp_path, written("out/r.txt", b"newer"), b"newer", digest(b"new")) == ("out/r.txt", "")
    assert (tmp_path / "out" / "r.txt").read_bytes() == b"newer"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["r.txt"]


def test_a_file_that_changed_here_is_never_overwritten(tmp_path: Path) -> None:
    """The remote one lands beside it and the cell says so."""
    (tmp_path / "r.txt").write_text("mine")
    name, notice = home(tmp_path, written("r.txt"), b"new", digest(b"theirs before"))
    assert (name, (tmp_path / "r.txt").read_text()) == ("r__remote.txt", "mine")
    assert (tmp_path / "r__remote.txt").read_bytes() == b"new"
    assert "changed here too" in notice


def test_a_large_file_stays_and_is_named(tmp_path: Path) -> None:
    """`%gpu_get` brings it."""
    assert home(tmp_path, FileRef(path="big.bin", size_bytes=9), None)[1] == (
        "big.bin (9 B) stayed remote: `%gpu_get big.bin` brings it here."
    )


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", ""])
def test_no_file_is_written_outside_the_folder(tmp_path: Path, path: str) -> None:
    """Whatever the container says."""
    folder = tmp_path / "folder"
    folder.mkdir()
    name, notice = home(folder, FileRef(path=path, size_bytes=3, digest="0"), b"new")
    assert (name, "stayed remote" in notice) == ("", True)
    assert [each.name for each in tmp_path.rglob("*")] == ["folder"]


def test_a_deleted_file_goes_only_if_it_is_unchanged_here(tmp_path: Path) -> None:
    """What the container never saw is kept."""
    file = tmp_path / "a"
    file.write_text("x")
    gone = FileRef(path="a", size_bytes=0, deleted=True)
    assert "kept" in home(tmp_path, gone, None, digest(b"y"))[1]
    assert "kept" in home(tmp_path, gone, None)[1]
    assert home(tmp_path, gone, None, digest(b"x")) == ("", "")
    assert not file.exists()
