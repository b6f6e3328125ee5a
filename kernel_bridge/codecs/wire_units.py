"""Units onto the wire and off it, and the choice of how each buffer travels.

Small ones go inside the message. Larger ones go into the arena when both ends share a host, else to the blob service,
which takes them by another connection than the messages'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from kernel_bridge.codecs.arena import Arena
from kernel_bridge.codecs.chunks import PATCHED_FROM_BYTES, History, apply, changed_bytes, marks_of, patch_bytes
from kernel_bridge.codecs.units import PackedUnit, ReceivedUnit
from kernel_bridge.errors import BadRequest, NotFound, TooLarge
from kernel_bridge.protocol.blobs import ARENA_DIGEST_LENGTH, BufferRef, UnitHead
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import Buffer

ARENA_FROM_BYTES: Final = 128 << 10  # below it, two more hops through the relay cost less than a file
BLOB_FROM_BYTES: Final = 1 << 20  # below it, they cost less than two HTTP requests
INLINE_LIMIT_BYTES: Final = DEFAULTS.frame_limit_bytes // 2  # of one message, all buffers together


class Sink(Protocol):
    """Where a unit's bytes go."""

    def put(self, data: Buffer, digest: str = "") -> BufferRef:
        """Take the bytes (`digest`: their xxh3_128 where it is known) and return where they are."""


class Source(Protocol):
    """Where a unit's bytes come from."""

    def get(self, ref: BufferRef, inline: Sequence[Buffer]) -> memoryview:
        """Return the bytes as writable memory of our own; `inline` are the buffers of the message."""

    def release(self) -> None:
        """Give back what was brought home, where the other end would keep it."""


class BlobStore(Protocol):
    """Immutable bytes by their BLAKE3."""

    def has(self, digest: str) -> bool:
        """Tell whether these bytes are stored."""

    def put(self, data: Buffer, digest: str = "") -> str:
        """Store the bytes (`digest`: their xxh3_128 where it is known); return their BLAKE3 in hex."""

    def get(self, digest: str, size_bytes: int) -> memoryview:
        """Return the bytes of a BLAKE3 as writable memory; raises NotFound."""


class BufferSender:
    """Chooses how each buffer of one message travels; `inline` collects the message's own. One sender a message."""

    def __init__(
        self, *, arena: Arena | None = None, blobs: BlobStore | None = None, history: History | None = None
    ) -> None:
        self.inline: list[Buffer] = []
        self._arena = arena
        self._blobs = blobs
        self._history = history
        self._inline_bytes = 0

    def put(self, data: Buffer, digest: str = "") -> BufferRef:
        """Send the bytes on their way and return where they are; raises TooLarge when there is no way."""
        view = memoryview(data).cast("B")
        if self._arena is not None and view.nbytes >= ARENA_FROM_BYTES:
            try:
                return BufferRef(view.nbytes, digest=self._arena.put(view, digest))
            except OSError:  # the arena is full, or gone: the other ways still work
                self._arena = None
        if self._blobs is not None and (view.nbytes >= BLOB_FROM_BYTES or not self._fits(view)):
            return self._put_blob(view, digest, self._blobs)
        return self._put_inline(view)

    def _put_blob(self, view: memoryview, digest: str, blobs: BlobStore) -> BufferRef:
        """Store the bytes, or only what has changed since they were last stored."""
        history = self._history
        if history is None or view.nbytes < PATCHED_FROM_BYTES:
            return BufferRef(view.nbytes, digest=blobs.put(view, digest))
        marks = marks_of(view)
        patch = history.nearest(marks, view.nbytes)
        if patch is not None and not blobs.has(patch.base):  # it may have been cleared away since
            history.forget(patch.base)
            patch = None
        if patch is None:
            name = blobs.put(view, digest)
            history.note(name, marks, view.nbytes)
            return BufferRef(view.nbytes, digest=name)
        if not patch.chunks:
            return BufferRef(view.nbytes, digest=patch.base)
        return BufferRef(view.nbytes, digest=blobs.put(changed_bytes(view, patch)), patch=patch)

    def _put_inline(self, view: memoryview) -> BufferRef:
        if not self._fits(view):
            raise TooLarge(f"{view.nbytes} bytes do not fit into a message and there is no other way to send them.")
        self.inline.append(view)
        self._inline_bytes += view.nbytes
        return BufferRef(view.nbytes, inline=len(self.inline) - 1)

    def _fits(self, view: memoryview) -> bool:
        return self._inline_bytes + view.nbytes <= INLINE_LIMIT_BYTES


class BufferReceiver:
    """Brings buffers home, wherever they are. `taken` collects the arena's files that were."""

    def __init__(
        self,
        *,
        arena: Arena | None = None,
        blobs: BlobStore | None = None,
        history: History | None = None,
        taken: set[str] | None = None,
    ) -> None:
        self._arena = arena
        self._blobs = blobs
        self._history = history
        self._taken = set() if taken is None else taken

    def get(self, ref: BufferRef, inline: Sequence[Buffer]) -> memoryview:
        """Return the bytes as writable memory of our own; raises NotFound or BadRequest."""
        if ref.inline is not None:
            return memoryview(bytearray(inline_buffer(ref, inline)))
        if len(ref.digest) == ARENA_DIGEST_LENGTH:
            if self._arena is None:
                raise NotFound("A value lies in a shared arena that is not on this host.")
            mapped = self._arena.map(ref.digest, ref.size_bytes)
            self._taken.add(ref.digest)
            return mapped
        if self._blobs is None:
            raise NotFound("A value lies in the blob service, which cannot be reached from here.")
        return self._get_blob(ref, self._blobs)

    def release(self) -> None:
        """Remove the files that were brought home: whoever has mapped one keeps it, and its memory is used again.

        Call it when no message is on its way that could name one of them.
        """
        if self._arena is not None:
            self._arena.release(self._taken)
        self._taken.clear()

    def _get_blob(self, ref: BufferRef, blobs: BlobStore) -> memoryview:
        if ref.patch is not None:
            changed = blobs.get(ref.digest, patch_bytes(ref.patch, ref.size_bytes))
            whole = blobs.get(ref.patch.base, ref.size_bytes)
            apply(ref.patch, changed, whole)
            return whole
        whole = blobs.get(ref.digest, ref.size_bytes)
        if self._history is not None and ref.size_bytes >= PATCHED_FROM_BYTES:
            self._history.note(ref.digest, marks_of(whole), ref.size_bytes)
        return whole


def pack_units(units: Sequence[PackedUnit], sink: Sink) -> tuple[UnitHead, ...]:
    """Send the bytes of the units on their way; return what the message says of them."""
    return tuple(_pack(unit, sink) for unit in units)


def unpack_unit(head: UnitHead, inline: Sequence[Buffer], source: Source) -> ReceivedUnit:
    """Bring one unit home; raises NotFound or BadRequest."""
    # Nobody writes to a pickle, so an inline one needs no copy.
    pickle = head.pickle
    data = memoryview(inline_buffer(pickle, inline)) if pickle.inline is not None else source.get(pickle, inline)
    return ReceivedUnit(
        names=head.names,
        pickle=data,
        buffers=tuple(source.get(ref, inline) for ref in head.buffers),
        digests=tuple(ref.digest if len(ref.digest) == ARENA_DIGEST_LENGTH else "" for ref in head.buffers),
    )


def inline_buffer(ref: BufferRef, inline: Sequence[Buffer]) -> Buffer:
    """Return the message's own buffer a reference names; raises BadRequest when there is none of that size."""
    if ref.inline is None or not 0 <= ref.inline < len(inline):
        raise BadRequest("A message names a buffer that it does not carry.")
    buffer = inline[ref.inline]
    if memoryview(buffer).nbytes != ref.size_bytes:
        raise BadRequest(f"A buffer has {memoryview(buffer).nbytes} bytes where {ref.size_bytes} were announced.")
    return buffer


def _pack(unit: PackedUnit, sink: Sink) -> UnitHead:
    digests = unit.digests or ("",) * len(unit.buffers)
    buffers = tuple(sink.put(buffer, digest) for buffer, digest in zip(unit.buffers, digests, strict=True))
    return UnitHead(names=unit.names, pickle=sink.put(unit.pickle), buffers=buffers, types=dict(unit.types))
