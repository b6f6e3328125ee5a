"""Values of another session that a cell uses: they move to the cell's session on first use, as bytes, unread here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jupyter_ext.prefetch import CapturedCell
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.session import Sessions
from jupyter_ext.shipment import foreign_handles
from kernel_bridge.capture.handle import Handle, handle_info
from kernel_bridge.codecs.arena import Arena
from kernel_bridge.codecs.wire_units import BufferSender, inline_buffer
from kernel_bridge.errors import NotFound, RemoteValueError
from kernel_bridge.protocol.blobs import ARENA_DIGEST_LENGTH, BufferRef, UnitHead
from kernel_bridge.protocol.messages import Buffer


@dataclass(frozen=True, slots=True)
class Moving:
    """A value on its way from one session to another: where its bytes are, and what the notebook must hold of them."""

    handle: Handle
    head: UnitHead
    inline: Sequence[Buffer]
    arena: Arena | None  # of the session it comes from
    held: Mapping[str, memoryview] = field(repr=False)  # mapped, for should that arena be gone before they are linked
    modules: frozenset[str]  # that the session it comes from was given; which of them its value needs is not known here
    notice: str


def fetch_foreign(sessions: Sessions, session: RemoteSession, cell: CapturedCell) -> dict[str, Moving]:
    """Have the values of handles that belong to other sessions pickled there.

    Do it before this session's container is woken: both may want the same card. Raises RemoteValueError for one that is
    lost or cannot be pickled, if the cell surely needs it; who touches another one there is told.
    """
    moving = {}
    for name, handle in foreign_handles(session, cell).items():
        if session.manifest.holds_handle(name, session.namespace):
            continue
        try:
            moving[name] = _set_out(sessions, name, handle)
        except RemoteValueError:
            if name in cell.needed:
                raise
    return moving


def hand_on(session: RemoteSession, moving: Mapping[str, Moving], sender: BufferSender) -> tuple[UnitHead, ...]:
    """Put these values on their way to a session; the notebook's names stay bound to their handles."""
    heads = []
    for name, each in moving.items():
        pickle, *buffers = (_pass(ref, each, session, sender) for ref in (each.head.pickle, *each.head.buffers))
        heads.append(replace(each.head, names=(name,), pickle=pickle, buffers=tuple(buffers), types=None))
        session.mirror.drop([name])
        session.manifest.bind_handle(name, each.handle)
    return tuple(heads)


def modules_of(moving: Mapping[str, Moving]) -> frozenset[str]:
    """Return the modules that must be there before these values are rebuilt."""
    return frozenset().union(*(each.modules for each in moving.values()))


def _set_out(sessions: Sessions, name: str, handle: Handle) -> Moving:
    info = handle_info(handle)
    source, head, inline = sessions.fetch_unit(info)
    arena = source.buffers().arena
    refs = (head.pickle, *head.buffers)
    held = {ref.digest: arena.map(ref.digest, ref.size_bytes) for ref in refs if arena is not None and _in_arena(ref)}
    modules = frozenset(source.provided | source.local_modules)
    return Moving(handle, head, inline, arena, held, modules, f"{name} was copied from {info.session}")


def _pass(ref: BufferRef, each: Moving, session: RemoteSession, sender: BufferSender) -> BufferRef:
    """Send one buffer on by the shortest way: everyone finds a blob, and a file of an arena gets a second name."""
    if ref.inline is not None:
        return sender.put(inline_buffer(ref, each.inline))
    if not _in_arena(ref):
        return ref
    target = session.buffers().arena
    if target is not None and each.arena is not None:
        try:
            target.link_from(each.arena, ref.digest)
        except (NotFound, OSError):  # what is mapped outlives its file
            return sender.put(each.held[ref.digest], ref.digest)
        return ref
    return sender.put(each.held[ref.digest], ref.digest)


def _in_arena(ref: BufferRef) -> bool:
    return ref.inline is None and len(ref.digest) == ARENA_DIGEST_LENGTH
