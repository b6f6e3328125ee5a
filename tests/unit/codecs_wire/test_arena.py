"""The arena: content by name, private views, nothing half written."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_bridge.codecs.arena import Arena
from kernel_bridge.errors import BadRequest, NotFound


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    return Arena(tmp_path)


def test_what_is_put_can_be_mapped(arena: Arena) -> None:
    """The name is the content's xxh3_128, the file is its owner's alone."""
    digest = arena.put(b"some bytes")
    assert digest == xxhash.xxh3_128_hexdigest(b"some bytes")
    assert bytes(arena.map(digest, 10)) == b"some bytes"
    assert stat.S_IMODE((arena.path / digest).stat().st_mode) == 0o600


def test_a_directory_one_may_not_look_into_is_not_usable(tmp_path: Path) -> None:
    """The arena of another user's runtime on this host: buffers take the other way. Root may look everywhere."""
    theirs = tmp_path / "theirs"
    (theirs / "arena").mkdir(parents=True)
    theirs.chmod(0)
    try:
        assert Arena(theirs / "arena").usable() is (os.getuid() == 0)
    finally:
        theirs.chmod(0o700)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=5000))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Empty content included."""
    arena = Arena(tmp_path_factory.mktemp("arena"))
    assert bytes(arena.map(arena.put(data), len(data))) == data


def test_writing_to_a_view_changes_only_that_view(arena: Arena) -> None:
    """Arrays built on a mapping are writable, aligned, and nobody else's."""
    source = np.arange(100_000, dtype=np.float64)
    digest = arena.put(memoryview(source))
    mine = np.frombuffer(arena.map(digest, source.nbytes))
    mine[0] = -1
    assert mine.flags.writeable
    assert mine.ctypes.data % 64 == 0
    assert np.frombuffer(arena.map(digest, source.nbytes))[0] == 0


def test_the_same_content_is_written_once(arena: Arena) -> None:
    """A second put keeps the file and renews its age."""
    digest = arena.put(b"x" * 100)
    os.utime(arena.path / digest, (1, 1))
    inode = (arena.path / digest).stat().st_ino
    assert arena.put(b"x" * 100) == digest
    found = (arena.path / digest).stat()
    assert found.st_ino == inode
    assert found.st_mtime > time.time() - 60


def test_what_is_not_there_is_said(arena: Arena) -> None:
    """An absent file, one of another size, and a name that is a path are refused."""
    digest = arena.put(b"abc")
    with pytest.raises(NotFound, match="holds no"):
        arena.map("0" * 32, 3)
    with pytest.raises(NotFound, match="3 bytes instead of 4"):
        arena.map(digest, 4)
    with pytest.raises(BadRequest):
        arena.map("../../etc/passwd", 3)


def test_a_failed_write_leaves_nothing(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full arena is an OSError, and no part of the file stays."""
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        arena.put(b"abc")
    assert list(arena.path.iterdir()) == []


def test_a_file_can_be_taken_over_from_another_arena(arena: Arena, tmp_path: Path) -> None:
    """Taking it twice is no error; taking what is not there is."""
    other = Arena(tmp_path / "other")
    other.path.mkdir()
    digest = arena.put(b"shared")
    other.link_from(arena, digest)
    other.link_from(arena, digest)
    assert bytes(other.map(digest, 6)) == b"shared"
    with pytest.raises(NotFound):
        other.link_from(arena, "0" * 32)


def test_trimming_removes_what_was_unused_for_longest(arena: Arena) -> None:
    """What was put a moment ago stays: its message may still be on the way. A mapping survives the removal."""
    old, newer, fresh = (arena.put(letter * 1000) for letter in (b"a", b"b", b"c"))
    os.utime(arena.path / old, (1, 1))
    os.utime(arena.path / newer, (2, 2))
    view = arena.map(old, 1000)
    assert arena.trim(2500) == 1000
    assert not arena.has(old)
    assert arena.has(newer)
    assert bytes(view[:1]) == b"a"
    assert arena.trim(0) == 1000
    assert arena.has(fresh)


def test_an_arena_elsewhere_is_not_usable(arena: Arena, tmp_path: Path) -> None:
    """A directory that is not on this machine is none."""
    assert arena.usable()
    assert not Arena(tmp_path / "nowhere").usable()


def test_what_was_taken_is_given_back(arena: Arena) -> None:
    """Its file goes, its mapping stays; what nobody took stays, too."""
    taken, other = arena.put(b"a" * 100), arena.put(b"b" * 100)
    view = arena.map(taken, 100)
    arena.release([taken])
    assert not arena.has(taken)
    assert arena.has(other)
    assert bytes(view[:2]) == b"aa"
