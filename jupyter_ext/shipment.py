"""A captured cell -> the request that runs it: only what the container lacks is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from jupyter_ext.arguments import CellOptions
from jupyter_ext.prefetch import CapturedCell
from jupyter_ext.remote_session import RemoteSession
from kernel_bridge.capture.handle import Handle, handle_info
from kernel_bridge.capture.units import Export
from kernel_bridge.codecs.wire_units import BufferSender, pack_units
from kernel_bridge.errors import CannotTravel
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.cells import CellRequest, FileRef
from kernel_bridge.protocol.messages import Buffer

_SMALL_BYTES: Final = 256 << 10  # what a dynamic cell may read is sent ahead up to this size; the rest is fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One cell's request and the bytes that travel inside its message."""

    request: CellRequest
    buffers: tuple[Buffer, ...]
    size_bytes: int
    files: tuple[str, ...]
    before: dict[str, Any] = field(repr=False)  # the notebook's names as they were


@dataclass(frozen=True, slots=True)
class CellTerms:
    """What a cell's line and the notebook's preferences say about its running."""

    writeback_limit_bytes: int
    timeout_s: float | None = None


def export(session: RemoteSession, cell: CapturedCell) -> Export:
    """Pickle what the cell reads and the container lacks; raises CannotTravel when the cell cannot run without it."""
    elsewhere = foreign_handles(session, cell)
    names = [
        name
        for name in cell.names
        if name not in elsewhere and not session.manifest.holds_handle(name, session.namespace)
    ]
    sure = session.mirror.export(names)
    for refusal in sure.refusals:
        if not cell.needed.isdisjoint(refusal.names):
            session.mirror.drop(name for unit in sure.units for name in unit.names)
            raise CannotTravel(
                f"{', '.join(refusal.names)} cannot be sent: {refusal.reason}. Make it in a `%%gpu` cell."
            )
    if not cell.perhaps:
        return sure
    more = session.mirror.export(cell.perhaps, limit_bytes=_SMALL_BYTES)
    return Export((*sure.units, *more.units), sure.refusals, (), (*sure.unchanged, *more.unchanged))


def pack(
    session: RemoteSession,
    cell: CapturedCell,
    exported: Export,
    options: CellOptions,
    terms: CellTerms,
    modules: tuple[tuple[FileRef, Buffer], ...] = (),
    moved: Callable[[BufferSender], tuple[UnitHead, ...]] = lambda sender: (),
) -> Shipment:
    """Put a cell's request together and its bytes on their way; `moved` adds what comes from other sessions."""
    sender = session.sender()
    units = (*pack_units(exported.units, sender), *moved(sender))
    shipped = [name for unit in units for name in unit.names]
    files = _files(session, cell, sender)
    manifest = session.manifest.change(cell.visible, session.namespace, session.mirror)
    session.manifest.delivered(shipped)
    request = CellRequest(
        epoch=session.epoch,
        manifest=manifest,
        units=units,
        may_change=_may_change(session, cell, exported),
        check_all=cell.dynamic,
        out=options.names_out,
        leave=options.names_leave,
        release=session.references.take_released(session.info.id),
        writeback_limit_bytes=terms.writeback_limit_bytes,
        layers=tuple(session.layers),
        modules=tuple(_with_data(ref, data, sender) for ref, data in modules),
        files=files,
        timeout_s=options.timeout_s or terms.timeout_s,
        shared_arena=session.same_host,
    )
    return Shipment(
        request=request,
        buffers=tuple(sender.inline),
        size_bytes=size_of(units) + sum(file.size_bytes for file in (*files, *request.modules)),
        files=tuple(file.path for file in files),
        before=dict(session.namespace),
    )


def size_of(units: tuple[UnitHead, ...]) -> int:
    """Return how many bytes these units are."""
    return sum(unit.pickle.size_bytes + sum(buffer.size_bytes for buffer in unit.buffers) for unit in units)


def foreign_handles(session: RemoteSession, cell: CapturedCell) -> dict[str, Handle]:
    """Return the names this cell uses whose values live in another session."""
    found = {name: session.namespace.get(name) for name in cell.names}
    return {
        name: value
        for name, value in found.items()
        if type(value) is Handle and handle_info(value).session != session.info.id
    }


def _may_change(session: RemoteSession, cell: CapturedCell, exported: Export) -> tuple[str, ...]:
    held = session.mirror.shared_names()
    relatives = {name for unit in exported.units for name in unit.names}.union(exported.unchanged)
    handles = {name for name in cell.names if session.manifest.holds_handle(name, session.namespace)}
    return tuple(sorted(held.intersection(cell.names) | handles | relatives))


def _files(session: RemoteSession, cell: CapturedCell, sender: BufferSender) -> tuple[FileRef, ...]:
    refs = []
    for file in session.local_files.named(cell.paths):
        if session.files.get(file.path) == file.digest:
            continue
        ref = FileRef(path=file.path, size_bytes=file.size_bytes, digest=file.digest)
        refs.append(_with_data(ref, session.local_files.read(file), sender))
        session.files[file.path] = file.digest
    return tuple(refs)


def _with_data(ref: FileRef, data: Buffer, sender: BufferSender) -> FileRef:
    return FileRef(path=ref.path, size_bytes=ref.size_bytes, digest=ref.digest, data=sender.put(data, ref.digest))
