"""Volumes: files go in and come out, and no path or link leads anywhere else."""

from __future__ import annotations

import contextlib
import os
import resource
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel_bridge.errors import BadRequest, CellburstError, Conflict, NotFound, TooLarge
from remote_runtime.volumes.paths import DEPTH_LIMIT, Walk, parts_of
from remote_runtime.volumes.service import Volumes

OUTSIDE = "not yours"


@pytest.fixture(autouse=True)
def neighbours(tmp_path: Path) -> None:
    """Make a file and a folder beside the volumes that are nobody's business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text(OUTSIDE)


def put(volumes: Volumes, path: str, data: bytes = b"data") -> None:
    writer = volumes.writer("v", path)
    try:
        writer.write(data)
        writer.commit()
    finally:
        writer.discard()


def get(volumes: Volumes, path: str) -> bytes:
    file, size_bytes = volumes.open("v", path)
    with file:
        data = file.read()
    assert len(data) == size_bytes
    return data


def names(volumes: Volumes, path: str = "", *, recursive: bool = False) -> list[str]:
    return [entry.path for entry in volumes.entries("v", path, recursive=recursive)]


def test_a_file_comes_back(volumes: Volumes) -> None:
    """Directories on the way are made, and a second writing replaces the first."""
    put(volumes, "/a/b/c.bin", b"one")
    put(volumes, "a//b/./c.bin", b"second")
    assert get(volumes, "a/b/c.bin") == b"second"
    assert names(volumes, recursive=True) == ["a", "a/b", "a/b/c.bin"]
    assert names(volumes, "a") == ["a/b"]
    assert names(volumes, "a/b/c.bin") == ["a/b/c.bin"]
    assert volumes.measure("v") == 6
    assert volumes.list()[0].size_bytes == 6


def test_nobody_sees_a_file_before_it_is_whole(volumes: Volumes, inside: Path) -> None:
    """An upload that breaks off leaves nothing in the volume or beside it."""
    writer = volumes.writer("v", "a/b")
    writer.write(b"half")
    assert names(volumes) == []
    writer.discard()
    assert list((inside.parent / ".incoming").iterdir()) == []


def test_a_file_over_the_limit_is_refused_while_it_arrives(volumes: Volumes) -> None:
    """The limit holds before the last byte has come."""
    writer = volumes.writer("v", "a")
    writer.limit_bytes = 3
    with pytest.raises(TooLarge):
        writer.write(b"1234")
    writer.discard()


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "a/..", "x" * 256, "a/" * 2100, "a\0b", "\udc80"])
def test_paths_that_are_none_are_refused(volumes: Volumes, path: str) -> None:
    """By every verb, before anything is touched."""
    for verb in (volumes.open, volumes.entries, volumes.writer, volumes.make_directory, volumes.remove):
        with pytest.raises(BadRequest):
            verb("v", path)


@pytest.mark.parametrize("target", ["../../outside", "/etc", "../..", "in/../../../outside"])
def test_a_link_to_a_folder_outside_is_not_followed(volumes: Volumes, inside: Path, target: str) -> None:
    """Neither reading, listing, writing, making nor removing goes through it."""
    (inside / "in").mkdir()
    absolute = target if target.startswith("/") else str((inside / target).resolve())
    for name, leads_to in (("relative", target), ("absolute", absolute)):
        (inside / name).symlink_to(leads_to)
        for attempt in (
            lambda name=name: volumes.open("v", f"{name}/file"),
            lambda name=name: volumes.entries("v", name),
            lambda name=name: put(volumes, f"{name}/new"),
            lambda name=name: volumes.make_directory("v", f"{name}/new"),
            lambda name=name: volumes.remove("v", f"{name}/file"),
        ):
            with pytest.raises(BadRequest, match="leads out of its volume"):
                attempt()
    outside = inside.parent.parent / "outside"
    assert [file.name for file in outside.iterdir()] == ["file"]
    assert volumes.measure("v") == 0


def test_a_link_to_a_file_outside_is_not_read_or_written_through(volumes: Volumes, inside: Path) -> None:
    """Writing replaces the link itself, removing removes the link itself."""
    outside = inside.parent.parent / "outside" / "file"
    (inside / "link").symlink_to("../../outside/file")
    with pytest.raises(BadRequest, match="leads out of its volume"):
        volumes.open("v", "link")
    put(volumes, "link", b"mine")
    assert outside.read_text() == OUTSIDE
    assert get(volumes, "link") == b"mine"
    (inside / "again").symlink_to(outside)
    volumes.remove("v", "again")
    assert outside.read_text() == OUTSIDE


def test_a_link_put_in_place_between_two_looks_is_not_followed(
    volumes: Volumes, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losing the race means an error: as if each name had been no link when it was looked at."""
    monkeypatch.setattr(Walk, "_link", lambda *_: None)
    (inside / "folder").symlink_to("../../outside")
    (inside / "file").symlink_to("../../outside/file")
    for attempt in (
        lambda: volumes.open("v", "folder/file"),
        lambda: volumes.open("v", "file"),
        lambda: put(volumes, "folder/file"),
        lambda: volumes.remove("v", "folder/file"),
        lambda: volumes.make_directory("v", "folder/new"),
    ):
        with pytest.raises((NotFound, Conflict)):
            attempt()
    assert [entry.kind for entry in volumes.entries("v", "folder")] == ["link"]
    assert (inside.parent.parent / "outside" / "file").read_text() == OUTSIDE


def test_links_within_the_volume_are_followed(volumes: Volumes, inside: Path) -> None:
    """Model caches are made of them."""
    put(volumes, "blobs/abc", b"weights")
    (inside / "snapshots" / "main").mkdir(parents=True)
    (inside / "snapshots" / "main" / "model").symlink_to("../../blobs/abc")
    (inside / "latest").symlink_to("snapshots/main")
    assert get(volumes, "latest/model") == b"weights"
    assert names(volumes, "latest") == ["latest/model"]
    kinds = {entry.path: entry.kind for entry in volumes.entries("v", recursive=True)}
    assert (kinds["latest"], kinds["snapshots"], kinds["blobs/abc"]) == ("link", "directory", "file")


def test_a_ring_of_links_ends(volumes: Volumes, inside: Path) -> None:
    """It is refused, not walked for ever."""
    (inside / "a").symlink_to("b")
    (inside / "b").symlink_to("a")
    (inside / "grow").symlink_to("grow/grow")
    for path in ("a", "grow"):
        with pytest.raises(BadRequest, match="more than"):
            volumes.open("v", path)


def test_pipes_sockets_and_devices_are_not_read(volumes: Volumes, inside: Path) -> None:
    """A named pipe nobody writes to does not hold the runtime up."""
    os.mkfifo(inside / "pipe")
    with pytest.raises(Conflict, match="not a regular file"):
        volumes.open("v", "pipe")
    assert [entry.kind for entry in volumes.entries("v")] == ["other"]


def test_a_file_is_no_directory_and_the_other_way_round(volumes: Volumes) -> None:
    """Each says what it is."""
    put(volumes, "file")
    volumes.make_directory("v", "folder/deep")
    volumes.make_directory("v", "folder")
    with pytest.raises(NotFound):
        put(volumes, "file/below")
    with pytest.raises(Conflict, match="is a directory"):
        put(volumes, "folder")
    with pytest.raises(Conflict, match="is a directory"):
        volumes.open("v", "folder")
    with pytest.raises(Conflict, match="not empty"):
        volumes.remove("v", "folder")
    volumes.remove("v", "folder/deep")
    volumes.remove("v", "folder")
    assert names(volumes) == ["file"]


def test_removing_a_tree_spares_what_its_links_lead_to(volumes: Volumes, inside: Path) -> None:
    """Links below it are removed as links."""
    put(volumes, "tree/a/b")
    (inside / "tree" / "a" / "out").symlink_to(inside.parent.parent / "outside")
    (inside / "tree" / "locked").mkdir()
    (inside / "tree" / "locked").chmod(0)
    volumes.remove("v", "tree", recursive=True)
    assert names(volumes) == []
    assert (inside.parent.parent / "outside" / "file").read_text() == OUTSIDE
    assert list((inside.parent / ".incoming").iterdir()) == []


def test_a_tree_deeper_than_the_runtime_has_descriptors_is_removed(volumes: Volumes, inside: Path) -> None:
    """Whoever fills a volume cannot exhaust the control plane with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = os.open(inside, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert len(volumes.entries("v", recursive=True)) == DEPTH_LIMIT + 1
        with pytest.raises(BadRequest, match="deep"):
            volumes.make_directory("v", "d/" * 300)
        volumes.delete("v")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sorted(path.name for path in inside.parent.iterdir()) == [".history", ".incoming", ".uploads"]


def test_a_deleted_volume_is_gone_and_its_name_free(volumes: Volumes) -> None:
    """A new volume of the name is empty."""
    put(volumes, "a")
    volumes.delete("v")
    for verb in (volumes.delete, volumes.directory, volumes.entries):
        with pytest.raises(NotFound, match="cellburst volume"):
            verb("v")
    assert volumes.ensure("v")[1]
    assert not volumes.ensure("v")[1]
    assert names(volumes) == []


@pytest.mark.parametrize("name", ["", ".", "..", ".incoming", "a/b", "../outside", "x" * 65])
def test_names_are_checked(volumes: Volumes, name: str) -> None:
    """No volume's name is a path."""
    for verb in (volumes.create, volumes.directory, volumes.delete, volumes.entries):
        with pytest.raises(BadRequest, match="cannot name a volume"):
            verb(name)


def test_names_that_are_not_text_are_listed(volumes: Volumes, inside: Path) -> None:
    """A file system's names are bytes; a listing must be text all the same."""
    os.close(os.open(os.fsencode(inside) + b"/\xff", os.O_CREAT))
    assert names(volumes) == ["\N{REPLACEMENT CHARACTER}"]


def test_what_a_crash_left_is_cleared(volumes: Volumes, inside: Path, tmp_path: Path) -> None:
    """Half uploads and half removals go when the next runtime starts."""
    waiting = inside.parent / ".incoming"
    (waiting / "tree" / "deep").mkdir(parents=True)
    (waiting / "upload").write_text("half")
    Volumes(volumes._rows, inside.parent)
    assert list(waiting.iterdir()) == []


PARTS = st.sampled_from(["..", ".", "", "in", "out", "abs", "up", "loop", "file", "new"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.lists(PARTS, max_size=6).map("/".join), st.text(string.ascii_letters, max_size=3))
def test_no_path_escapes(volumes: Volumes, path: str, tail: str) -> None:
    """Whatever is asked by whatever path through whatever links, the world outside is as it was."""
    inside = volumes.directory("v")
    outside = inside.parent.parent / "outside"
    _links(inside, outside)
    for verb in (
        lambda: put(volumes, path + tail),
        lambda: volumes.make_directory("v", path + tail),
        lambda: _refuse(OUTSIDE.encode(), get(volumes, path)),
        lambda: _refuse("file", *(entry.path for entry in volumes.entries("v", path) if "outside" in entry.path)),
        lambda: volumes.remove("v", path, recursive=True),
    ):
        with contextlib.suppress(CellburstError):
            verb()
        assert [file.name for file in outside.iterdir()] == ["file"]
        assert (outside / "file").read_text() == OUTSIDE
        assert {child.name for child in inside.parent.iterdir()} == {"v", ".incoming", ".history", ".uploads"}


def _links(inside: Path, outside: Path) -> None:
    (inside / "in").mkdir(exist_ok=True)
    for name, target in {"out": "../../outside", "abs": str(outside), "up": "in/../..", "loop": "loop"}.items():
        if not os.path.lexists(inside / name):
            (inside / name).symlink_to(target)


def _refuse(forbidden: object, *found: object) -> None:
    assert forbidden not in found


@given(st.text(max_size=60))
def test_components_are_plain_names(path: str) -> None:
    """What is taken as a path is a list of names, none of them special."""
    try:
        parts = parts_of(path)
    except BadRequest:
        return
    assert all(part not in ("", ".", "..") and "/" not in part and "\0" not in part for part in parts)
