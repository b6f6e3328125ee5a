"""What a cell wrote comes home: small files with its reply, large ones by `%gpu_get`, piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from IPython.core.error import UsageError

from jupyter_ext.landing import beside, incoming, is_untouched, land, may_receive, write_all
from jupyter_ext.pump import Pump
from jupyter_ext.remote_session import RemoteSession
from kernel_bridge.capture.handle import format_bytes
from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.blobs import ARENA_DIGEST_LENGTH, BufferRef
from kernel_bridge.protocol.cells import FileRef
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.wire import from_wire

_PIECE_BYTES: Final = 32 << 20
_MOST_NAMED: Final = 3


@dataclass(slots=True)
class Arrivals:
    """What came home of files."""

    size_bytes: int = 0
    written: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def bring_home(session: RemoteSession, refs: Sequence[FileRef], inline: Sequence[Buffer]) -> Arrivals:
    """Write, make and delete here what the cell wrote, made and deleted; raises nothing for what does not work."""
    arrived, receiver = Arrivals(), session.receiver()
    stayed = [ref for ref in refs if ref.kind == "file" and not ref.deleted and not ref.digest]
    for ref in (ref for ref in refs if ref not in stayed):
        try:
            data = None if ref.data is None else receiver.get(ref.data, inline)
        except (CellburstError, OSError) as error:
            arrived.notices.append(f"{ref.path} did not come home: {error}")
            continue
        written, notice = land(session.local_files, ref, data, session.files.seen)
        arrived.size_bytes += ref.size_bytes if data is not None else 0
        arrived.written += [written] if written and data is not None else []
        arrived.notices += [notice] if notice else []
        _note(session, ref, written, notice)
    arrived.notices += _stayed(session, stayed)
    return arrived


def get(session: RemoteSession, pump: Pump, path: str) -> list[str]:
    """Bring a remote file or folder here; return lines to show. Raises CellburstError, or UsageError when it cannot be.

    A file takes its place when all of it is here; what was there before stays until then.
    """
    reply = pump.ask("get_file_request", {"path": path})
    refs = [from_wire(FileRef, ref) for ref in reply.content["files"]]
    lines, total, done = [], sum(ref.size_bytes for ref in refs), 0
    for ref in refs:

        def say(came: int, done: int = done) -> None:
            pump.say(f"{path}: {format_bytes(done + came)} of {format_bytes(total)}")

        lines.append(_get_file(session, pump, ref, say))
        done += ref.size_bytes
    if len(lines) > 2 * _MOST_NAMED:
        lines = [*lines[:_MOST_NAMED], f"and {len(lines) - _MOST_NAMED} more files, {format_bytes(total)} in all"]
    return lines or [f"{path} holds no files."]


def _get_file(session: RemoteSession, pump: Pump, ref: FileRef, say: Callable[[int], None]) -> str:
    target = may_receive(session.local_files, ref.path)
    if target is None:
        return f"{ref.path} stayed remote: it is not a file this notebook may receive."
    if not is_untouched(session.local_files, target, ref, session.files.seen):
        target = beside(target)
    try:
        with incoming(target, ref) as descriptor:
            for piece in _pieces(session, pump, ref):
                write_all(descriptor, piece)
                say(os.fstat(descriptor).st_size)
            if os.fstat(descriptor).st_size != ref.size_bytes:
                raise UsageError(f"{ref.path} changed while it came; nothing was written. `%gpu_get` tries again.")
    except OSError as error:
        raise UsageError(f"{ref.path} could not be written here ({error.strerror or error}); nothing was.") from None
    name = target.relative_to(session.local_files.folder).as_posix()
    if target.name == ref.path.rpartition("/")[2]:
        session.files.sent(session.local_files, ref.path, session.local_files.current_digest(target))
    return f"{name}: {format_bytes(ref.size_bytes)}"


def _pieces(session: RemoteSession, pump: Pump, ref: FileRef) -> Iterator[Buffer]:
    for offset in range(0, ref.size_bytes, _PIECE_BYTES):
        content = {"path": ref.path, "offset": offset, "size_bytes": _PIECE_BYTES, "shared_arena": session.same_host}
        reply = pump.ask("file_piece_request", content)
        where = from_wire(BufferRef, reply.content["data"])
        yield session.receiver().get(where, reply.buffers)
        arena = session.buffers().arena
        if arena is not None and len(where.digest) == ARENA_DIGEST_LENGTH:
            arena.remove(where.digest)  # a file larger than memory goes through it


def _note(session: RemoteSession, ref: FileRef, written: str, notice: str) -> None:
    if ref.kind != "file":
        return
    if ref.deleted and not notice:
        session.files.gone(ref.path)
    elif ref.digest and not notice:
        session.files.sent(session.local_files, ref.path, ref.digest)
    elif written:
        session.files.kept_both(ref.path, ref.digest)


def _stayed(session: RemoteSession, refs: Sequence[FileRef]) -> list[str]:
    """Say which files are too large to come by themselves."""
    if len(refs) <= _MOST_NAMED:
        return [line for ref in refs if (line := land(session.local_files, ref, None, session.files.seen)[1])]
    names = ", ".join(ref.path for ref in refs[:_MOST_NAMED])
    size = format_bytes(sum(ref.size_bytes for ref in refs))
    return [f"{names} and {len(refs) - _MOST_NAMED} more files ({size}) stayed remote: `%gpu_get PATH` brings them."]
