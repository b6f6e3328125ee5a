"""A store of volumes with one in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remote_runtime.clock import SystemClock
from remote_runtime.store import Store, sqlite_url
from remote_runtime.volumes.service import Volumes


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[Volumes]:
    """A volume `v`."""
    store = Store.open(sqlite_url(tmp_path / "s.sqlite3"), SystemClock(), tmp_path)
    made = Volumes(store.volumes, tmp_path / "volumes")
    made.create("v")
    yield made
    store.close()


@pytest.fixture
def inside(volumes: Volumes) -> Path:
    return volumes.directory("v")
