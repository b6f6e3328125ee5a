"""Where buffers are shared with notebooks of the same host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remote_runtime import arenas


def test_a_name_that_somebody_took_does_not_stop_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone may make a folder or a link in shared memory; it is not used, a folder of our own is."""
    shared, theirs = tmp_path / "shm", tmp_path / "theirs"
    shared.mkdir()
    theirs.mkdir(mode=0o777)
    monkeypatch.setattr(arenas, "_SHARED_MEMORY", shared)
    monkeypatch.setattr(arenas, "_mount", lambda _point: False)
    (shared / f"cellburst-{os.getuid()}").symlink_to(theirs)
    root = arenas.open_arenas(tmp_path / "run")
    assert (root.kind, root.path) == ("files", tmp_path / "run" / "arena")
    assert list(theirs.iterdir()) == []


def test_arenas_in_shared_memory_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the runtime directory's path is."""
    monkeypatch.setattr(arenas, "_SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(arenas, "_mount", lambda _point: False)
    root = arenas.open_arenas(Path("/", *["directory"] * 40))
    assert root.path.is_relative_to(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (root.path, root.path.parent)] == [0o700, 0o700]
    root.close()
    assert not root.path.exists()
