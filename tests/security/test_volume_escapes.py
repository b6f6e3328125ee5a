"""Nothing that lies in a volume leads out of it: mounts of folders, versions, copies, full disks."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.content import CHUNK_BYTES, chunk_digest
from kernel_bridge.protocol.sessions import VolumeMount
from remote_runtime.clock import SystemClock
from remote_runtime.linux import roots
from remote_runtime.store import Store, sqlite_url
from remote_runtime.volumes.mounts import mounts_of
from remote_runtime.volumes.service import Volumes
from remote_runtime.volumes.uploads import UploadRequest

OUTSIDE = "not yours"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def volumes(store: Store, tmp_path: Path) -> Volumes:
    """A volume `v`, beside a folder that is nobody's business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text(OUTSIDE)
    made = Volumes(store.volumes, tmp_path / "volumes")
    made.create("v")
    return made


@pytest.mark.parametrize("trap", ["/", "..", "../outside", "outside"])
def test_a_folder_that_became_a_link_is_not_mounted(volumes: Volumes, tmp_path: Path, trap: str) -> None:
    """A cell may put a link there after the check: what mounts it opens each folder by itself and follows none."""
    volumes.check_mount("v", "a/b", 0, read_only=False)
    (mount,) = mounts_of(volumes, [VolumeMount("v", "/x", sub_path="a/b")])
    inside = volumes.directory("v")
    for place in (inside / "a" / "b", inside / "a"):
        place.rmdir() if place.is_dir() else None
        place.symlink_to(tmp_path / "outside" if trap == "outside" else trap)
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            roots.source_tree(roots.Bind(source=mount.source, target="/x", below=mount.below))
        place.unlink()


def test_links_are_swapped_while_the_runtime_walks(volumes: Volumes, tmp_path: Path) -> None:
    """A cell that exchanges a folder and a link as fast as it can gets no file of the host read or written."""
    inside, outside, over = volumes.directory("v"), tmp_path / "outside", threading.Event()
    (inside / "real").mkdir()
    (inside / "real" / "file").write_text("mine")

    def swap() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):  # the runtime makes a folder of the name, too
                (inside / "real").rename(inside / "d")
                (inside / "d").rename(inside / "real")
                (inside / "d").symlink_to(outside)
                (inside / "d").unlink()
            if (inside / "d").is_dir() and not (inside / "d").is_symlink():
                shutil.rmtree(inside / "d", ignore_errors=True)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(300):
            for verb in (_read, _write, _copy, _commit):
                try:
                    verb(volumes, number)
                except (CellburstError, OSError):
                    continue
    finally:
        over.set()
        swapper.join()
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == OUTSIDE
    held = [path.read_text() for path in (inside.parent / ".history").glob("v/objects/??/*")]
    assert OUTSIDE not in held
    assert OUTSIDE not in [path.read_text() for path in inside.rglob("*") if path.is_file() and not path.is_symlink()]


def _read(volumes: Volumes, _: int) -> None:
    file, _ = volumes.open("v", "d/file")
    with file:
        assert file.read() != OUTSIDE.encode()


def _write(volumes: Volumes, number: int) -> None:
    writer = volumes.writer("v", f"d/w{number}")
    try:
        writer.write(b"written")
        writer.commit()
    finally:
        writer.discard()


def _copy(volumes: Volumes, number: int) -> None:
    volumes.copy("v", ["d/file"], f"copy{number % 10}")


def _commit(volumes: Volumes, number: int) -> None:
    if number % 20 == 0:
        volumes.commit("v")


def test_a_hard_link_brings_nothing_in(volumes: Volumes, tmp_path: Path) -> None:
    """A version is no way to change what is in it, nor are two links to one file one file afterwards."""
    inside = volumes.directory("v")
    (inside / "a").write_text("one")
    os.link(inside / "a", inside / "b")
    volumes.commit("v")
    (inside / "a").write_text("two")
    shown = volumes.directory("v", 1)
    assert [(shown / name).read_text() for name in "ab"] == ["one", "one"]
    assert all(not path.stat().st_mode & 0o222 for path in (inside.parent / ".history").glob("v/objects/??/*"))
    assert volumes.copy("v", ["a"], "c", 1) == 1
    with (inside / "c").open("r+") as file:  # a copy, not the object itself
        file.write("TWO")
    assert (shown / "a").read_text() == "one"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_half_done(store: Store, small_disk: Path) -> None:
    """An upload in chunks, one in a piece, a copy and a commit: each an error, and the disk is as free as before."""
    volumes = Volumes(store.volumes, small_disk)
    volumes.create("v")
    (volumes.directory("v") / "big").write_bytes(os.urandom(14 << 20))
    free = os.statvfs(small_disk).f_bavail
    for verb in (_upload, _write_much, lambda: volumes.copy("v", ["big"], "b"), lambda: volumes.commit("v")):
        with pytest.raises(OSError, match="No space left") as caught:
            verb(volumes) if verb in (_upload, _write_much) else verb()
        assert caught.value.errno == errno.ENOSPC
        assert os.statvfs(small_disk).f_bavail >= free - 8
    assert [entry.path for entry in volumes.entries("v", recursive=True)] == ["big"]
    assert volumes.log("v") == ()


def _upload(volumes: Volumes) -> None:
    begun = volumes.begin_upload("v", UploadRequest(path="u", size_bytes=4 * CHUNK_BYTES, key="k"))
    for index in range(4):
        data = os.urandom(CHUNK_BYTES)
        sink = volumes.chunk("v", begun.id, index, chunk_digest(data))
        sink.write(data)
        sink.commit()


def _write_much(volumes: Volumes) -> None:
    writer = volumes.writer("v", "w")
    try:
        writer.write(os.urandom(20 << 20))
        writer.commit()
    finally:
        writer.discard()
