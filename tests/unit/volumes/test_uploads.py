"""Uploads and downloads: what was cut goes on, what is half is invisible, and holes stay holes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kernel_bridge.errors import BadRequest, Conflict, NotFound, TooLarge
from kernel_bridge.protocol.content import CHUNK_BYTES, Chunk, chunk_digest, digest_of, map_of
from kernel_bridge.sparse import content_map
from remote_runtime.volumes.service import Volumes
from remote_runtime.volumes.uploads import UploadRequest

TAIL = b"tail" * 100
SIZE = 2 * CHUNK_BYTES + len(TAIL)
ASKED = UploadRequest(path="deep/big", size_bytes=SIZE, key="k")


def send(volumes: Volumes, upload_id: str, index: int, data: bytes, digest: str = "") -> None:
    sink = volumes.chunk("v", upload_id, index, digest or chunk_digest(data))
    sink.write(data)
    sink.commit()


def test_an_upload_goes_on_after_a_restart(volumes: Volumes, tmp_path: Path) -> None:
    """Chunks that arrived are not sent again, a chunk of zeros never, and nothing is seen before the end."""
    begun = volumes.begin_upload("v", ASKED)
    first = os.urandom(CHUNK_BYTES)
    send(volumes, begun.id, 0, first)
    again = Volumes(volumes._rows, tmp_path / "volumes")
    assert again.begin_upload("v", ASKED).present == (0,)
    assert again.entries("v", recursive=True) == ()
    send(again, begun.id, 2, TAIL)
    whole = map_of(SIZE, [Chunk(2, chunk_digest(TAIL)), Chunk(0, chunk_digest(first))])
    entry = again.finish_upload("v", begun.id, whole.digest)
    assert (entry.path, entry.size_bytes) == ("deep/big", SIZE)
    file, _ = again.open("v", "deep/big")
    with file:
        assert os.fstat(file.fileno()).st_blocks * 512 < SIZE  # the middle is a hole
        assert file.read() == first + bytes(CHUNK_BYTES) + TAIL
    assert again.content("v", "deep/big") == whole
    with pytest.raises(NotFound):
        again.finish_upload("v", begun.id, whole.digest)


def test_what_arrived_otherwise_is_refused(volumes: Volumes) -> None:
    """A chunk with other bytes, of another length or beyond the end; a whole with another digest is forgotten."""
    begun = volumes.begin_upload("v", ASKED)
    with pytest.raises(BadRequest, match="send it again"):
        send(volumes, begun.id, 0, bytes(CHUNK_BYTES), chunk_digest(TAIL))
    with pytest.raises(BadRequest, match="send it again"):
        send(volumes, begun.id, 2, TAIL[:-1])
    with pytest.raises(TooLarge):
        send(volumes, begun.id, 2, TAIL + b"x")
    with pytest.raises(BadRequest, match="no chunk 3"):
        send(volumes, begun.id, 3, TAIL)
    send(volumes, begun.id, 2, TAIL)
    with pytest.raises(Conflict, match="changed while it was sent"):
        volumes.finish_upload("v", begun.id, digest_of(b"else"))
    with pytest.raises(NotFound):
        volumes.drop_upload("v", begun.id)
    assert volumes.entries("v") == ()


def test_uploads_are_their_volumes_and_their_owners(volumes: Volumes, tmp_path: Path) -> None:
    """Nobody goes on with another's, nor by a name that leads elsewhere; a volume that goes takes its own along."""
    begun = volumes.begin_upload("v", ASKED)
    volumes.of("ben").create("v")
    for upload_id, owner in ((begun.id, "ben"), ("..", "owner"), ("../../v", "owner"), ("", "owner")):
        with pytest.raises(NotFound):
            volumes.of(owner).chunk("v", upload_id, 0, chunk_digest(b""))
    assert volumes.of("ben").begin_upload("v", ASKED).id != begun.id
    volumes.delete("v")
    assert len(list((tmp_path / "volumes" / ".uploads").iterdir())) == 1


@pytest.mark.parametrize("path", ["../x", "a/../../x", "", "/", "a\0b"])
def test_no_upload_leads_out(volumes: Volumes, path: str) -> None:
    """A path is refused before anything is sent."""
    with pytest.raises(BadRequest):
        volumes.begin_upload("v", UploadRequest(path=path, size_bytes=1, key="k"))


def test_a_link_in_the_way_is_not_followed_by_an_upload(volumes: Volumes, tmp_path: Path) -> None:
    """What a cell puts where the file goes, while it is sent, is replaced or refused."""
    outside = tmp_path / "outside"
    outside.mkdir()
    begun = volumes.begin_upload("v", UploadRequest(path="d/f", size_bytes=1, key="k"))
    send(volumes, begun.id, 0, b"x")
    (volumes.directory("v") / "d").symlink_to(outside)
    with pytest.raises(BadRequest, match="leads out"):
        volumes.finish_upload("v", begun.id, digest_of(b"x"))
    assert list(outside.iterdir()) == []


def test_uploads_that_nobody_goes_on_with_are_removed(volumes: Volumes, tmp_path: Path) -> None:
    """After a week without a chunk."""
    begun = volumes.begin_upload("v", ASKED)
    os.utime(tmp_path / "volumes" / ".uploads" / begun.id / "data", (1, 1))
    Volumes(volumes._rows, tmp_path / "volumes")
    with pytest.raises(NotFound):
        volumes.drop_upload("v", begun.id)


def packed(path: str, data: bytes, **more: object) -> bytes:
    head = json.dumps({"path": path, "size_bytes": len(data), "digest": digest_of(data), **more}).encode()
    return len(head).to_bytes(4, "big") + head + data


def test_a_pack_brings_many_files(volumes: Volumes) -> None:
    """However it is cut into pieces; the executable bit comes along."""
    body = packed("a/1", b"one") + packed("2", b"") + packed("run", b"#!", executable=True)
    sink = volumes.pack("v")
    for start in range(0, len(body), 7):
        sink.write(body[start : start + 7])
    assert sink.commit() == 3
    entries = volumes.entries("v", recursive=True)
    assert [(entry.path, entry.executable) for entry in entries] == [
        ("2", False), ("a", False), ("a/1", False), ("run", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (packed("../out", b"x"), BadRequest),
        (packed("/../out", b"x"), BadRequest),
        (packed("a", b"x", digest=digest_of(b"y")), Conflict),
        (packed("a", b"x", size_bytes=-1), BadRequest),
        (packed("a", b"x", size_bytes=CHUNK_BYTES + 1), BadRequest),
        (b"\xff\xff\xff\xff", BadRequest),
        (b"\0\0\0\x02{x", BadRequest),
        (packed("a", b"xyz")[:-1], BadRequest),
    ],
)
def test_a_pack_brings_nothing_else(volumes: Volumes, body: bytes, error: type[Exception]) -> None:
    """Paths that lead out, other bytes than were said, heads that are none."""
    sink = volumes.pack("v")
    with pytest.raises(error):
        sink.write(body)
        sink.commit()
    assert volumes.entries("v") == ()


def test_a_hole_is_not_read(tmp_path: Path) -> None:
    """Twenty gigabytes of nothing with a word in it have their digest at once."""
    with (tmp_path / "sparse").open("w+b") as file:
        file.truncate(20 << 30)
        file.seek(10 << 30)
        file.write(b"word")
        file.flush()
        found = content_map(file.fileno(), 20 << 30)
    word = b"word" + bytes(CHUNK_BYTES - 4)
    assert found.chunks == (Chunk((10 << 30) // CHUNK_BYTES, chunk_digest(word)),)
