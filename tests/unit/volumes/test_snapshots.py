"""Versions of volumes: what they hold, what they cost, who wins, and how they end."""

from __future__ import annotations

import os
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from kernel_bridge.errors import BadRequest, Conflict, NotFound, TooLarge
from remote_runtime.volumes.books import WEEK_S, growth
from remote_runtime.volumes.service import Volumes


def fill(inside: Path) -> None:
    """Put one of everything into a volume."""
    (inside / "d" / "e").mkdir(parents=True)
    (inside / "d" / "f").write_text("one")
    (inside / "d" / "same").write_text("one")
    (inside / "run").write_text("#!/bin/sh\n")
    (inside / "run").chmod(0o755)
    (inside / "link").symlink_to("d/f")
    (inside / "out").symlink_to("/etc/passwd")
    os.mkfifo(inside / "pipe")
    Path(os.fsdecode(bytes(inside) + b"/\xff")).write_text("no text")


def test_a_version_is_what_was_committed(volumes: Volumes, inside: Path) -> None:
    """Files, folders, links, modes and odd names; what comes after is not in it, and nothing is in the volume's way."""
    fill(inside)
    made = volumes.commit("v", "first")
    assert (made.version, made.message, made.files, made.skipped) == (1, "first", 4, 1)
    with (inside / "d" / "f").open("r+") as file:
        file.write("TWO")
    (inside / "d" / "same").unlink()
    shown = volumes.directory("v", 1)
    assert (shown / "d" / "f").read_text() == (shown / "d" / "same").read_text() == "one"
    assert (shown / "d" / "e").is_dir()
    assert (shown / "link").readlink() == Path("d/f")
    assert os.access(shown / "run", os.X_OK)
    assert Path(os.fsdecode(bytes(shown) + b"/\xff")).exists()
    assert not (shown / "pipe").exists()
    with pytest.raises(BadRequest, match="leads out"):
        volumes.open("v", "out", 1)
    assert {entry.path for entry in volumes.entries("v", "d", version=1)} == {"d/e", "d/f", "d/same"}


def test_a_commit_costs_what_changed(volumes: Volumes, inside: Path) -> None:
    """The same bytes are kept once, an unchanged file is not read again, and without a change there is no version."""
    (inside / "big").write_bytes(os.urandom(10 << 20))
    (inside / "copy").write_bytes((inside / "big").read_bytes())
    assert volumes.commit("v").new_bytes < 11 << 20
    assert volumes.commit("v").version == 1
    (inside / "small").write_text("x")
    second = volumes.commit("v")
    assert (second.version, second.files) == (2, 3)
    assert second.new_bytes <= 4096
    (inside / "small").unlink()
    assert [version.version for version in (volumes.commit("v"), *volumes.log("v"))] == [3, 3, 2, 1]
    assert volumes.usage("v").history_bytes < 11 << 20


def test_a_version_goes_with_what_only_it_holds(volumes: Volumes, inside: Path) -> None:
    """The others stay whole."""
    (inside / "a").write_bytes(os.urandom(1 << 20))
    (inside / "b").write_text("stays")
    volumes.commit("v")
    (inside / "a").unlink()
    volumes.commit("v")
    assert volumes.directory("v", 2)
    assert volumes.forget("v", 1) >= 1 << 20
    assert (volumes.directory("v", 2) / "b").read_text() == "stays"
    for verb in (volumes.forget, volumes.directory):
        with pytest.raises(NotFound, match="volume log"):
            verb("v", 1)


def test_a_version_is_copied_back(volumes: Volumes, inside: Path) -> None:
    """`cp` takes from a version, file by file or all of it; the volume's own links lead nobody out."""
    fill(inside)
    volumes.commit("v")
    (inside / "d" / "f").write_text("lost")
    assert volumes.copy("v", ["d/f"], "d/f", 1) == 1
    assert (inside / "d" / "f").read_text() == "one"
    assert volumes.copy("v", ["/"], "again", 1) == 4
    assert os.access(inside / "again" / "run", os.X_OK)
    assert volumes.copy("v", ["d/f", "run"], "new/") == 2
    for sources, destination in ((["d"], "d/e/g"), ([], "x"), (["d/f"], "../x"), (["../x"], "x"), (["out"], "x")):
        with pytest.raises(BadRequest):
            volumes.copy("v", sources, destination)
    with pytest.raises(Conflict):
        volumes.copy("v", ["pipe"], "x")


def test_a_file_that_is_written_all_the_time_is_named(volumes: Volumes, inside: Path) -> None:
    """The commit ends with its name, and keeps nothing."""
    (inside / "quiet").write_text("q")
    (inside / "busy").write_bytes(bytes(range(256)) * (80 << 10))
    over = threading.Event()

    def write() -> None:
        with (inside / "busy").open("r+b", buffering=0) as file:
            while not over.is_set():
                os.pwrite(file.fileno(), os.urandom(8), 0)
                time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(Conflict, match="busy is being written"):
            volumes.commit("v")
    finally:
        over.set()
        writer.join()
    assert volumes.log("v") == ()
    assert not list((inside.parent / ".history" / "v" / "objects").glob("??/*"))
    assert volumes.commit("v").files == 2


def test_two_commits_at_once_are_one_after_the_other(volumes: Volumes, inside: Path) -> None:
    """Each has a number of its own or is the same version."""
    for number in range(50):
        (inside / str(number)).write_text(str(number))
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(volumes.commit("v").version)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1, 1]


def test_a_quota_leaves_nothing_half_done(volumes: Volumes, inside: Path) -> None:
    """An upload, a copy and a commit that want more say so once; what was there stays as it was."""
    (inside / "a").write_bytes(os.urandom(1 << 20))
    volumes.set_quota("v", 3 << 19)
    for verb in (
        lambda: _write(volumes, os.urandom(1 << 20)),
        lambda: volumes.copy("v", ["a"], "b"),
        lambda: volumes.commit("v"),
    ):
        with pytest.raises(TooLarge, match="cellburst volume quota v SIZE"):
            verb()
    assert [entry.path for entry in volumes.entries("v")] == ["a"]
    assert volumes.log("v") == ()
    assert not list((inside.parent / ".incoming").iterdir())
    volumes.set_quota("v", 0)
    assert volumes.commit("v").version == 1


def _write(volumes: Volumes, data: bytes) -> None:
    writer = volumes.writer("v", "b")
    try:
        writer.write(data)
        writer.commit()
    finally:
        writer.discard()


def test_a_volume_keeps_its_versions_under_another_name(volumes: Volumes, inside: Path) -> None:
    """A name that is taken is a conflict; the old one is free."""
    (inside / "a").write_text("a")
    volumes.commit("v")
    volumes.create("taken")
    with pytest.raises(Conflict):
        volumes.rename("v", "taken")
    with pytest.raises(BadRequest):
        volumes.rename("v", "../x")
    assert volumes.rename("v", "w").name == "w"
    assert (volumes.directory("w", 1) / "a").read_text() == "a"
    volumes.create("v")
    assert volumes.entries("v") == volumes.log("v") == ()
    volumes.delete("w")
    assert not (inside.parent / ".history" / "w").exists()


def test_only_what_is_no_link_is_mounted(volumes: Volumes, inside: Path) -> None:
    """A folder is made where it may be written, and a link is refused wherever it leads."""
    (inside / "d").mkdir()
    (inside / "link").symlink_to("d")
    volumes.check_mount("v", "d/new", 0, read_only=False)
    assert (inside / "d" / "new").is_dir()
    with pytest.raises(NotFound):
        volumes.check_mount("v", "d/other", 0, read_only=True)
    for path in ("link", "link/x", "d/../link"):
        with pytest.raises((Conflict, BadRequest)):
            volumes.check_mount("v", path, 0, read_only=False)
    with pytest.raises(NotFound):
        volumes.check_mount("v", "", 3, read_only=True)


def test_growth_is_that_of_a_week() -> None:
    """Against what was there a week ago; a younger volume grew by all it has."""
    now = 10 * WEEK_S
    assert growth([(now - 2 * WEEK_S, 5), (now - WEEK_S, 10), (now - 60, 80)], now, 100, created_at_s=0) == 90
    assert growth([(now - 60, 80)], now, 100, created_at_s=0) == 20
    assert growth([(now - 60, 80)], now, 100, created_at_s=now - 3600) == 100
    assert growth([], now, 100, created_at_s=0) == 100


def test_usage_counts_what_the_disk_holds(volumes: Volumes, inside: Path) -> None:
    """A hole takes nothing and a second link nothing more; the size is what is read."""
    with (inside / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (inside / "a").write_bytes(b"x" * 8192)
    os.link(inside / "a", inside / "b")
    usage = volumes.usage("v")
    assert (usage.files, usage.size_bytes) == (3, (1 << 30) + 2 * 8192)
    assert 8192 <= usage.disk_bytes < 1 << 20


def test_sizes_are_written_down_without_being_asked(volumes: Volumes, inside: Path) -> None:
    """Once a day, whoever's they are; a volume that was deleted has no books any more."""
    volumes.of("ben").create("w")
    (inside / "a").write_bytes(b"x" * 8192)
    volumes.look_after()
    volumes.look_after()
    assert sorted(path.parent.name for path in inside.parent.glob(".history/*/sizes")) == ["ben@w", "v"]
    volumes.delete("v")
    volumes.look_after()
    assert not (inside.parent / ".history" / "v").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_thousand_files_and_a_sparse_file_behave(volumes: Volumes, inside: Path) -> None:
    """More links to one content than a file system takes; a second commit reads nothing; holes stay holes."""
    for folder in range(100):
        (inside / f"{folder:02}").mkdir()
        for number in range(1000):
            (inside / f"{folder:02}" / str(number)).write_bytes(b"same" if number % 10 else b"%d %d" % (folder, number))
    with (inside / "sparse").open("wb") as file:
        file.truncate(20 << 30)
        file.seek(7 << 30)
        file.write(b"word")
    times = [time.perf_counter()]
    assert volumes.commit("v").files == 100_001
    times.append(time.perf_counter())
    (inside / "new").write_text("n")
    assert volumes.commit("v").files == 100_002
    times.append(time.perf_counter())
    shown = volumes.directory("v", 1)
    times.append(time.perf_counter())
    assert (shown / "99" / "999").read_bytes() == b"same"
    assert (shown / "sparse").stat().st_blocks * 512 < 32 << 20
    took = (after - before for before, after in pairwise(times))
    print("commit {:.1f} s, again {:.1f} s, shown {:.1f} s".format(*took))
