"""Units onto the wire and back, by each of the three ways."""

from __future__ import annotations

from pathlib import Path

import blake3
import pytest
import xxhash

from kernel_bridge.codecs.arena import Arena
from kernel_bridge.codecs.chunks import CHUNK_BYTES, PATCHED_FROM_BYTES, History
from kernel_bridge.codecs.units import PackedUnit
from kernel_bridge.codecs.wire_units import (
    ARENA_FROM_BYTES,
    BLOB_FROM_BYTES,
    INLINE_LIMIT_BYTES,
    BufferReceiver,
    BufferSender,
    pack_units,
    unpack_unit,
)
from kernel_bridge.errors import BadRequest, NotFound, TooLarge
from kernel_bridge.protocol.blobs import BufferRef, Patch, UnitHead
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.wire import from_wire, to_wire


class Shelf:
    """A blob store in a dict."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def has(self, digest: str) -> bool:
        return digest in self.held

    def put(self, data: Buffer, digest: str = "") -> str:
        name = blake3.blake3(data).hexdigest()
        self.held[name] = bytes(data)
        return name

    def get(self, digest: str, size_bytes: int) -> memoryview:
        return memoryview(bytearray(self.held[digest]))


def unit(*sizes: int) -> PackedUnit:
    buffers = tuple(bytes([number]) * size for number, size in enumerate(sizes))
    return PackedUnit(("a", "b"), b"pickle", buffers, tuple(map(xxhash.xxh3_128_hexdigest, buffers)), {"a": "list"})


def test_small_buffers_travel_inside_the_message() -> None:
    """They come back as memory that may be written, and the head survives JSON."""
    sender = BufferSender()
    (head,) = pack_units([unit(40_000, 50_000)], sender)
    assert [ref.inline for ref in (head.pickle, *head.buffers)] == [2, 0, 1]
    back = unpack_unit(from_wire(UnitHead, to_wire(head)), sender.inline, BufferReceiver())
    assert (back.names, bytes(back.pickle)) == (("a", "b"), b"pickle")
    assert [len(buffer) for buffer in back.buffers] == [40_000, 50_000]
    back.buffers[0][0] = 7
    assert sender.inline[0][0] == 0


def test_on_one_host_large_buffers_lie_in_the_arena(tmp_path: Path) -> None:
    """Their known digest is their name, and travels with them."""
    sender = BufferSender(arena=Arena(tmp_path), blobs=Shelf())
    packed = unit(ARENA_FROM_BYTES, 100)
    (head,) = pack_units([packed], sender)
    assert head.buffers[0] == BufferRef(ARENA_FROM_BYTES, digest=packed.digests[0])
    back = unpack_unit(head, sender.inline, BufferReceiver(arena=Arena(tmp_path)))
    assert back.digests == (packed.digests[0], "")
    assert bytes(back.buffers[0]) == packed.buffers[0]


def test_elsewhere_they_are_blobs() -> None:
    """A blob is named by its BLAKE3."""
    shelf = Shelf()
    sender = BufferSender(blobs=shelf)
    (head,) = pack_units([unit(BLOB_FROM_BYTES)], sender)
    assert len(head.buffers[0].digest) == 64
    assert len(unpack_unit(head, sender.inline, BufferReceiver(blobs=shelf)).buffers[0]) == BLOB_FROM_BYTES


def test_a_full_arena_is_no_reason_to_fail(tmp_path: Path) -> None:
    """The next way is taken."""
    sender = BufferSender(arena=Arena(tmp_path / "gone"), blobs=Shelf())
    assert len(sender.put(bytes(BLOB_FROM_BYTES)).digest) == 64


def test_what_fits_nowhere_is_too_large() -> None:
    """Without an arena and blobs, a message's size is the limit."""
    sender = BufferSender()
    sender.put(bytes(INLINE_LIMIT_BYTES - 10))
    with pytest.raises(TooLarge):
        sender.put(bytes(11))


@pytest.mark.parametrize("ref", [BufferRef(3, inline=1), BufferRef(4, inline=0), BufferRef(3, inline=-1)])
def test_a_reference_to_a_buffer_that_is_not_there_is_refused(ref: BufferRef) -> None:
    """A wrong index and a wrong size, whoever sent them."""
    with pytest.raises(BadRequest):
        BufferReceiver().get(ref, [b"abc"])


def test_a_reference_to_a_place_we_cannot_reach_is_refused() -> None:
    """An arena of another host, and blobs without a service."""
    for digest in ("0" * 32, "0" * 64):
        with pytest.raises(NotFound):
            BufferReceiver().get(BufferRef(3, digest=digest), [])


def test_of_a_changed_buffer_only_its_chunks_are_stored() -> None:
    """The rest is taken from the blob it was; the shorter last chunk counts as one."""
    shelf, history = Shelf(), History()
    data = bytearray(PATCHED_FROM_BYTES + 1000)
    first = BufferSender(blobs=shelf, history=history).put(data)
    data[5], data[-1] = 7, 8
    second = BufferSender(blobs=shelf, history=history).put(data)
    assert second.patch is not None
    assert second.patch.base == first.digest
    assert second.patch.chunks == (0, PATCHED_FROM_BYTES // CHUNK_BYTES)
    assert len(shelf.held[second.digest]) == CHUNK_BYTES + 1000
    again = from_wire(BufferRef, to_wire(second))
    assert bytes(BufferReceiver(blobs=shelf).get(again, [])) == bytes(data)


def test_a_buffer_is_stored_whole_where_its_base_is_gone_or_little_like_it() -> None:
    """And one that is as it was needs nothing."""
    shelf, history = Shelf(), History()
    data = bytearray(PATCHED_FROM_BYTES)
    first = BufferSender(blobs=shelf, history=history).put(data)
    assert BufferSender(blobs=shelf, history=history).put(data) == first
    shelf.held.clear()
    data[0] = 1
    assert BufferSender(blobs=shelf, history=history).put(data).patch is None
    other = bytes(range(256)) * (PATCHED_FROM_BYTES // 256)
    assert BufferSender(blobs=shelf, history=history).put(other).patch is None


@pytest.mark.parametrize("patch", [Patch("0" * 64, 1 << 20, (8,)), Patch("0" * 64, 0, (0,)), Patch("0" * 64, 4, (-1,))])
def test_a_patch_that_does_not_fit_is_refused(patch: Patch) -> None:
    """A chunk that is not there, chunks without a size."""
    with pytest.raises(BadRequest):
        BufferReceiver(blobs=Shelf()).get(BufferRef(8 << 20, digest="1" * 64, patch=patch), [])
