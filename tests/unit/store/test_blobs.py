"""Blobs are whole, are what they say, and never larger than allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from kernel_bridge.errors import BadRequest, NotFound, TooLarge
from remote_runtime.clock import SystemClock
from remote_runtime.store import Store, sqlite_url
from remote_runtime.store.blobs import USED_WITHIN_S, Blobs


class SlowClock(SystemClock):
    """A clock whose time of day stands where it was put."""

    time_s = 0.0

    def now(self) -> float:
        return self.time_s


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def blobs(data_dir: Path) -> Iterator[Blobs]:
    store = Store.open(sqlite_url(data_dir / "store.sqlite3"), SystemClock(), data_dir)
    yield store.blobs
    store.close()


def test_a_blob_comes_back(blobs: Blobs) -> None:
    """Bytes put are bytes read, under their digest."""
    digest = blobs.put(b"hello")
    assert digest == blake3(b"hello").hexdigest()
    assert blobs.put(b"hello") == digest
    with blobs.open(digest) as file:
        assert file.read() == b"hello"
    assert blobs.get(digest).size_bytes == 5


def test_missing_keeps_the_order_and_drops_repeats(blobs: Blobs) -> None:
    """Only what is not here is asked for, once."""
    here = blobs.put(b"here")
    there, other = "b" * 64, "a" * 64
    assert blobs.missing([there, here, other, there]) == (there, other)


def test_other_bytes_than_announced_are_refused(blobs: Blobs, data_dir: Path) -> None:
    """A blob whose hash is another leaves nothing behind."""
    incoming = blobs.incoming("0" * 64)
    incoming.write(b"not ", b"that")
    with pytest.raises(BadRequest, match="send them again"):
        incoming.commit()
    assert blobs.missing(["0" * 64]) == ("0" * 64,)
    assert list((data_dir / "blobs" / "incoming").iterdir()) == []


def test_a_blob_over_the_limit_is_refused_while_it_arrives(blobs: Blobs) -> None:
    """The limit holds before the last byte has come."""
    incoming = blobs.incoming("0" * 64, limit_bytes=4)
    incoming.write(b"1234")
    with pytest.raises(TooLarge):
        incoming.write(b"5")
    incoming.discard()


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 32, "0" * 63 + "\n"])
def test_only_a_digest_names_a_blob(blobs: Blobs, name: str) -> None:
    """Nothing else becomes a path."""
    with pytest.raises(BadRequest):
        blobs.path(name)
    with pytest.raises(BadRequest):
        blobs.incoming(name)


def test_a_deleted_blob_is_gone(blobs: Blobs) -> None:
    """Row and file go together; twice is success."""
    digest = blobs.put(b"x")
    blobs.delete(digest)
    blobs.delete(digest)
    with pytest.raises(NotFound):
        blobs.open(digest)
    assert blobs.unused_since(1e12) == ()


def test_asking_for_a_blob_is_using_it(data_dir: Path) -> None:
    """What notebooks still ask for is not the first to go; many may be asked for at once."""
    clock = SlowClock()
    store = Store.open(sqlite_url(data_dir / "store.sqlite3"), clock, data_dir)
    asked, other = store.blobs.put(b"asked"), store.blobs.put(b"other")
    clock.time_s = 2 * USED_WITHIN_S
    assert len(store.blobs.missing([asked, *(f"{n:064x}" for n in range(1_200))])) == 1_200
    assert [row.digest for row in store.blobs.unused_since(clock.time_s)] == [other]
    store.close()
