"""`cellburst volume`: what was cut goes on, versions come back, and the SDK does the same."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cellburst
from kernel_bridge.cli.progress import line
from kernel_bridge.errors import Conflict, NotFound
from kernel_bridge.protocol.content import CHUNK_BYTES
from tests.unit.cli.test_cli import Run, places, run

__all__ = ["places", "run"]

CLI = [sys.executable, "-m", "kernel_bridge.cli.main", "volume"]


def sparse(path: Path, size_bytes: int) -> Path:
    """Write a file with random bytes at both ends and nothing between them."""
    with path.open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.truncate(size_bytes)
        file.seek(size_bytes - 5)
        file.write(b"tail!")
    return path


def test_versions_from_the_command_line(run: Run, tmp_path: Path) -> None:
    """Commit, log, look into a version, take something back, forget it; rename, quota, info."""
    (tmp_path / "a").write_text("one")
    run("volume", "create", "v1")
    run("volume", "put", "v1", str(tmp_path / "a"))
    assert run("volume", "commit", "v1", "-m", "first")[1] == "v1@1: 1 file, 3 bytes\n"
    (tmp_path / "a").write_text("two")
    run("volume", "put", "v1", str(tmp_path / "a"))
    assert "first" in run("volume", "log", "v1")[1]
    assert json.loads(run("volume", "log", "v1", "--json")[1])[0]["version"] == 1
    assert run("volume", "get", "v1@1", "a", str(tmp_path / "old"))[0] == 0
    assert (tmp_path / "old").read_text() == "one"
    assert run("volume", "cp", "v1@1", "a", "b")[1] == "1 file copied to b in v1\n"
    assert [entry["path"] for entry in json.loads(run("volume", "ls", "v1", "--json")[1])] == ["a", "b"]
    assert run("volume", "quota", "v1", "1M")[0] == 0
    (tmp_path / "big").write_bytes(os.urandom(2 << 20))
    code, printed, said = run("volume", "put", "v1", str(tmp_path / "big"))
    assert (code, printed, said.count("\n")) == (1, "", 1)
    assert "quota of 1 MiB" in said
    assert "of 1 MiB" in run("volume", "info", "v1")[1]
    assert run("volume", "rename", "v1", "v2")[0] == 0
    assert run("volume", "rm", "v2@1")[0] == 0
    assert run("volume", "log", "v2")[1].startswith("no versions")
    assert run("volume", "get", "v2@1", "a", str(tmp_path / "x"))[0] == 1
    assert run("volume", "ls", "v2@x")[0] == 2
    assert run("volume", "delete", "v2")[0] == 0


def test_a_sparse_file_stays_sparse_both_ways(run: Run, tmp_path: Path) -> None:
    """Its holes are neither sent nor written."""
    source = sparse(tmp_path / "s", 3 * CHUNK_BYTES + 77)
    run("volume", "create", "holes")
    assert run("volume", "put", "holes", str(source))[0] == 0
    assert json.loads(run("volume", "info", "holes", "--json")[1])["disk_bytes"] < CHUNK_BYTES
    assert run("volume", "get", "holes", "s", str(tmp_path / "back"))[0] == 0
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert (tmp_path / "back").stat().st_blocks * 512 < CHUNK_BYTES


def test_a_download_uses_what_an_earlier_one_left(run: Run, tmp_path: Path) -> None:
    """Chunks that are right stay, others are fetched, and what is beyond goes."""
    source = tmp_path / "s"
    source.write_bytes(os.urandom(2 * CHUNK_BYTES + 5))
    run("volume", "create", "back")
    run("volume", "put", "back", str(source))
    data = source.read_bytes()
    part = tmp_path / ".t.part"
    part.write_bytes(data[:CHUNK_BYTES] + bytes(CHUNK_BYTES) + b"xxxxx")
    inode = part.stat().st_ino
    assert run("volume", "get", "back", "s", str(tmp_path / "t"))[0] == 0
    assert (tmp_path / "t").read_bytes() == data
    assert (tmp_path / "t").stat().st_ino == inode
    assert not part.exists()


def test_a_folder_that_was_cut_goes_on(run: Run, tmp_path: Path) -> None:
    """Files that are here and the same are left alone, others are a conflict, and what is missing is fetched."""
    for number in range(30):
        (tmp_path / "src" / str(number % 3)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / str(number % 3) / str(number)).write_text(f"file {number}")
    (tmp_path / "src" / "large").write_bytes(os.urandom(2 << 20))
    (tmp_path / "src" / "run").write_text("#!")
    (tmp_path / "src" / "run").chmod(0o755)
    run("volume", "create", "folders")
    assert run("volume", "put", "folders", str(tmp_path / "src"))[1] == "32 files in folders\n"
    (tmp_path / "into").mkdir()
    get = ("volume", "get", "folders", "src", str(tmp_path / "into"))
    assert run(*get)[0] == 0
    back = tmp_path / "into" / "src"
    (back / "0" / "0").unlink()
    before = (back / "large").stat().st_ino
    assert run(*get)[0] == 0
    assert (back / "large").stat().st_ino == before
    assert (back / "run").stat().st_mode & 0o100
    for path in (tmp_path / "src").rglob("*"):
        assert path.is_dir() or (back / path.relative_to(tmp_path / "src")).read_bytes() == path.read_bytes()
    (back / "1" / "1").write_text("mine 1")
    code, _, said = run(*get)
    assert (code, "--force" in said) == (1, True)
    assert (back / "1" / "1").read_text() == "mine 1"
    assert run(*get, "--force")[0] == 0
    assert (back / "1" / "1").read_text() == "file 1"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_put_that_was_killed_goes_on(run: Run, places: dict[str, str], tmp_path: Path) -> None:
    """What arrived is not sent again, and until the end nothing is seen."""
    source = tmp_path / "large"
    with source.open("wb") as file:
        for _ in range(48):
            file.write(os.urandom(CHUNK_BYTES))
    run("volume", "create", "cut")
    uploads = Path(places["CELLBURST_DATA_DIR"], "volumes", ".uploads")
    with subprocess.Popen([*CLI, "put", "cut", str(source)], env=os.environ | places) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in uploads.glob("*/journal")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    (journal,) = uploads.glob("*/journal")
    arrived = len(journal.read_text().splitlines())
    assert 0 < arrived < 48
    assert run("volume", "ls", "cut")[1] == "nothing is in it\n"
    before = (journal.parent / "data").stat().st_ino
    assert run("volume", "put", "cut", str(source))[0] == 0
    assert run("volume", "get", "cut", "large", str(tmp_path / "back"))[0] == 0
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    (kept,) = Path(places["CELLBURST_DATA_DIR"], "volumes").glob("cut/large")
    assert kept.stat().st_ino == before


def test_the_sdk_reads_and_writes(run: Run, tmp_path: Path) -> None:
    """By Modal's names: upload, list, read, copy, commit, remove."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f.txt").write_text("deep")
    (tmp_path / "large").write_bytes(os.urandom(CHUNK_BYTES + 3))
    volume = cellburst.Volume.from_name("sdk", create_if_missing=True)
    with volume.batch_upload() as batch:
        batch.put_directory(tmp_path / "d", "/data")
        batch.put_file(tmp_path / "large", "big/")
        batch.put_file(io.BytesIO(b"from memory"), "/memory")
    assert [entry.path for entry in volume.listdir("/")] == ["big", "data", "memory"]
    assert [entry.path for entry in volume.iterdir("data")] == ["data/e", "data/e/f.txt"]
    assert b"".join(volume.read_file("big/large")) == (tmp_path / "large").read_bytes()
    into = io.BytesIO()
    assert volume.read_file_into_fileobj("memory", into) == len(b"from memory")
    with pytest.raises(Conflict, match="force=True"), volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"other"), "memory")
    with volume.batch_upload(force=True) as batch:
        batch.put_file(io.BytesIO(b"other"), "memory")
    assert (volume.commit("said"), volume.reload(), volume.log()[0].message) == (1, 1, "said")
    volume.remove_file("data", recursive=True)
    with pytest.raises(NotFound):
        next(volume.read_file("data/e/f.txt"))


def test_the_sdk_takes_from_a_version(run: Run) -> None:
    """A volume as it was is read and copied from; names change and go."""
    volume = cellburst.Volume.from_name("sdk1", create_if_missing=True)
    with volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"deep"), "data/e/f.txt")
    volume.commit()
    volume.remove_file("data", recursive=True)
    old = cellburst.Volume.from_name("sdk1", version=1)
    assert b"".join(old.read_file("data/e/f.txt")) == b"deep"
    with pytest.raises(Conflict, match="recursive=True"):
        old.copy_files(["data"], "again")
    old.copy_files(["data"], "again", recursive=True)
    assert [entry.path for entry in old.with_mount_options(read_only=True).iterdir("data/e")] == ["data/e/f.txt"]
    assert volume.info().files == 1
    volume = cellburst.Volume.from_name("sdk1")
    cellburst.Volume.rename("sdk1", "sdk2")
    cellburst.Volume.delete("sdk2")
    with pytest.raises(NotFound):
        cellburst.Volume.from_name("sdk2").listdir()


def test_a_bar_says_how_far_it_is() -> None:
    """The share, the size, the speed and how long it will take."""
    said = line(512 << 20, 1 << 30, 256 << 20, "models/weights.safetensors")
    assert said == "████████████············  50% of 1.0 GiB  256 MiB/s  0:02 left  models/weights.safetensors"
    assert line(0, 0, 0.0, "x").startswith("████████████████████████ 100%")
