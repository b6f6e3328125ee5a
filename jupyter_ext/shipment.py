"""A captured cell -> the request that runs it: only what the container lacks is in it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from jupyter_ext.arguments import CellOptions
from jupyter_ext.prefetch import CapturedCell
from jupyter_ext.remote_session import RemoteSession
from kernel_bridge.capture.handle import Handle, handle_info
from kernel_bridge.capture.paths import paths_in
from kernel_bridge.capture.units import Export
from kernel_bridge.codecs.wire_units import BufferSender, pack_units
from kernel_bridge.errors import CannotTravel, CredentialHeldBack
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.cells import RANDOM_NAME, CellRequest, FileRef, FolderList
from kernel_bridge.protocol.messages import Buffer

_STANDARD: Final = sys.stdlib_module_names
# What opens files in Python (or through it), where a hook sees it.
_BY_PYTHON: Final = frozenset(
    {"IPython", "PIL", "cellburst", "joblib", "matplotlib", "numpy", "pandas", "scipy", "seaborn", "sklearn", "torch"}
)
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
    number: int = 0
    deferred_annotations: bool = False


def export(session: RemoteSession, cell: CapturedCell) -> Export:
    """Pickle what the cell reads and the container lacks; raises CannotTravel when the cell cannot run without it.

    Raises CredentialHeldBack for a credential inside a value.
    """
    elsewhere = foreign_handles(session, cell)
    names = [
        name
        for name in cell.names
        if name not in elsewhere and not session.manifest.holds_handle(name, session.namespace)
    ]
    sure = session.mirror.export([*names, *_beside_handles(session, cell)])
    for refusal in sure.refusals:
        if refusal.held:
            session.mirror.drop(name for unit in sure.units for name in unit.names)
            over = f"`--secret NAME` or `--in {','.join(refusal.names)}`"
            raise CredentialHeldBack(f"{refusal.reason}; nothing was sent. Use {over}.")
        if not cell.needed.isdisjoint(refusal.names):
            session.mirror.drop(name for unit in sure.units for name in unit.names)
            raise CannotTravel(
                f"{', '.join(refusal.names)} cannot be sent: {refusal.reason}. Make it in a `%%gpu` cell."
            )
    if not cell.perhaps:
        return sure
    more = session.mirror.export(cell.perhaps, limit_bytes=_SMALL_BYTES)
    refusals = (*sure.refusals, *more.refusals)
    return Export((*sure.units, *more.units), refusals, (), (*sure.unchanged, *more.unchanged))


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
    session.files.sent_ns = time.time_ns()
    files = _files(session, cell, sender)
    manifest = session.manifest.change(cell.visible, session.namespace, session.mirror)
    session.manifest.delivered(shipped)
    request = CellRequest(
        epoch=session.epoch,
        manifest=manifest,
        units=(*units, *_random_states(session, sender)) if cell.draws else units,
        may_change=_may_change(session, cell, exported),
        check_all=cell.dynamic,
        imports=cell.submodules,
        unlisted=_unlisted(cell, exported) if cell.dynamic else (),
        out=options.names_out,
        leave=options.names_leave,
        release=session.references.take_released(session.info.id),
        writeback_limit_bytes=terms.writeback_limit_bytes,
        layers=tuple(session.layers),
        modules=tuple(_with_data(ref, data, sender) for ref, data in modules),
        files=files,
        folders=_folders(session, cell),
        timeout_s=options.timeout_s or terms.timeout_s,
        number=terms.number,
        deferred_annotations=terms.deferred_annotations,
        may_draw=cell.draws,
        shared_arena=session.same_host,
        data_only=session.mirror.takes_data_only,
        needed=tuple(sorted(cell.needed.intersection(shipped))),
    )
    return Shipment(
        request=request,
        buffers=tuple(sender.inline),
        size_bytes=size_of(request.units) + sum(file.size_bytes for file in (*files, *request.modules)),
        files=tuple(file.path for file in files if file.data is not None),
        before=dict(session.namespace),
    )


def size_of(units: tuple[UnitHead, ...]) -> int:
    """Return how many bytes these units are."""
    return sum(unit.pickle.moved_bytes + sum(buffer.moved_bytes for buffer in unit.buffers) for unit in units)


def foreign_handles(session: RemoteSession, cell: CapturedCell) -> dict[str, Handle]:
    """Return the names this cell uses whose values live in another session."""
    found = {name: session.namespace.get(name) for name in cell.names}
    return {
        name: value
        for name, value in found.items()
        if type(value) is Handle and handle_info(value).session != session.info.id
    }


def _unlisted(cell: CapturedCell, exported: Export) -> tuple[str, ...]:
    refused = {name for refusal in exported.refusals for name in refusal.names}
    return tuple(sorted(refused | cell.visible.difference(cell.names, cell.perhaps)))


def _beside_handles(session: RemoteSession, cell: CapturedCell) -> list[str]:
    """Return the names that share something with a value behind a handle that the cell names."""
    manifest, held = session.manifest, session.mirror.shared_names()
    handles = (name for name in cell.names if manifest.holds_handle(name, session.namespace))
    return [name for handle in handles for name in manifest.beside(handle) if name in held]


def _may_change(session: RemoteSession, cell: CapturedCell, exported: Export) -> tuple[str, ...]:
    held = session.mirror.shared_names()
    relatives = {name for unit in exported.units for name in unit.names}.union(exported.unchanged)
    handles = {name for name in cell.names if session.manifest.holds_handle(name, session.namespace)}
    return tuple(sorted(held.intersection(cell.names) | handles | relatives))


def _random_states(session: RemoteSession, sender: BufferSender) -> tuple[UnitHead, ...]:
    """Pack what changed here of the random generators that no name holds."""
    states = session.random.changed()
    if not states:
        return ()
    session.namespace[RANDOM_NAME] = states
    try:
        return pack_units(session.mirror.export([RANDOM_NAME]).units, sender)
    finally:
        del session.namespace[RANDOM_NAME]
        session.mirror.drop([RANDOM_NAME])


def _files(session: RemoteSession, cell: CapturedCell, sender: BufferSender) -> tuple[FileRef, ...]:
    """Return the files the cell names, and word of those that the container has and that changed here."""
    book, local = session.files, session.local_files
    stale, session.stale_files = [*session.stale_files, *book.out_of_date(local)], []
    named = [file for file in local.named(cell.paths) if not book.holds(file)]
    for file in named:
        book.sent(local, file.path, file.digest)
    coming = {file.path for file in named}
    old = [ref for ref in stale if ref.path not in coming]
    return (*old, *(_with_data(file.ref, local.read(file), sender) for file in named))


def _folders(session: RemoteSession, cell: CapturedCell) -> tuple[FolderList, ...]:
    """Return what folders hold that the container has shown and that changed, and what readers in C may look for."""
    book, local = session.files, session.local_files
    found = {folder.path: folder for folder in book.changed_folders(local)}
    for folder in _looked_into(session, cell) if _reads_in_c(cell.modules) else ():
        if folder.path not in found and not book.is_shown(folder.path):
            book.told(local, folder, shown=True)
            found[folder.path] = folder
    return tuple(found.values())


def _looked_into(session: RemoteSession, cell: CapturedCell) -> Iterator[FolderList]:
    """Yield the folders that a cell's texts and values name, with those below, and those of the files they name."""
    local = session.local_files
    values = (session.namespace[name] for name in cell.names if name in session.namespace)
    for text in dict.fromkeys((*cell.paths, *cell.path_words, *(text for value in values for text in paths_in(value)))):
        folder = local.folder_of(text)
        if folder is not None:
            yield from local.list_tree(folder)
        elif (path := local.inside(text)) is not None and path.is_file():
            parent = path.parent.relative_to(local.folder).as_posix()
            yield local.list_folder("" if parent == "." else parent, path.name)


def _reads_in_c(modules: Iterable[str]) -> bool:
    return any((top := name.partition(".")[0]) not in _BY_PYTHON and top not in _STANDARD for name in modules)


def _with_data(ref: FileRef, data: Buffer, sender: BufferSender) -> FileRef:
    return replace(ref, data=sender.put(data, ref.digest))
