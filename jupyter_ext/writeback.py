"""What a cell left behind -> the notebook's namespace and folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jupyter_ext.handles import handle_info_of
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.shipment import size_of
from kernel_bridge.codecs.pickler import unpack
from kernel_bridge.codecs.wire_units import unpack_unit
from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.cells import RESULT_NAME, CellReply, HandleHead
from kernel_bridge.protocol.messages import Buffer

_NOTHING: Final = object()
_PRIVATE: Final = "_cellburst_"  # names that only units bear


@dataclass(slots=True)
class Homecoming:
    """What arrived, for the footer and for `Out[n]`."""

    value: Any = None
    has_value: bool = False
    exception: BaseException | None = None
    returned_bytes: int = 0
    files: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def bring_home(
    session: RemoteSession, reply: CellReply, inline: Sequence[Buffer], before: Mapping[str, Any]
) -> Homecoming:
    """Bind what changed, delete what was deleted, write the files; `before` is the namespace when the cell was sent."""
    home = Homecoming(returned_bytes=size_of(reply.units), notices=list(reply.notices))
    _accept_units(session, reply.units, inline, before, home)
    for name in reply.deleted:
        _delete(session, name, before, home)
    for head in reply.handles:
        _bind_handle(session, head, before, home)
    _take_result(session, reply, home)
    _take_exception(session, reply, home)
    _write_files(session, reply, inline, home)
    return home


def keep_output(shell: Any, value: Any) -> None:
    """Make a value `Out[n]` and `_` without displaying it: its display has come from the container."""
    hook = shell.displayhook
    if hasattr(hook, "update_user_ns"):
        hook.update_user_ns(value)
        hook.fill_exec_result(value)


def value_of(session: RemoteSession, head: UnitHead, inline: Sequence[Buffer]) -> Any:
    """Return the value of a unit that is bound to no name here; raises what unpickling raises."""
    unit = unpack_unit(head, inline, session.receiver())
    values = unpack(unit.pickle, unit.buffers, session.namespace, session.references)[0]
    return next(iter(values.values()))


def _accept_units(
    session: RemoteSession,
    heads: Sequence[UnitHead],
    inline: Sequence[Buffer],
    before: Mapping[str, Any],
    home: Homecoming,
) -> None:
    namespace, units = session.namespace, []
    for head in heads:
        try:
            units.append(unpack_unit(head, inline, session.receiver()))
        except (CellburstError, OSError) as error:
            home.notices.append(f"{', '.join(head.names)} did not come home: {error}")
    names = [name for unit in units for name in unit.names]
    newer = {name: namespace.get(name, _NOTHING) for name in names if _changed_here(name, namespace, before)}
    report = session.mirror.accept(units)
    session.manifest.delivered(report.bound)
    for refusal in report.failures:
        names = [name for name in refusal.names if not name.startswith(_PRIVATE)]
        if names:
            home.notices.append(f"{', '.join(names)} did not come home: {refusal.reason}.")
    for name, value in newer.items():
        _keep_both(session, name, value, home)


def _keep_both(session: RemoteSession, name: str, value: Any, home: Homecoming) -> None:
    remote = session.namespace.pop(name, _NOTHING)
    if value is not _NOTHING:
        session.namespace[name] = value
    session.mirror.drop([name])
    if remote is not _NOTHING:
        session.namespace[f"{name}__remote"] = remote
        home.notices.append(f"{name} changed here too while the cell ran: the remote value is {name}__remote.")


def _delete(session: RemoteSession, name: str, before: Mapping[str, Any], home: Homecoming) -> None:
    if _changed_here(name, session.namespace, before):
        home.notices.append(f"{name} was deleted remotely but changed here while the cell ran: kept.")
    else:
        session.namespace.pop(name, None)
    session.mirror.drop([name])


def _bind_handle(session: RemoteSession, head: HandleHead, before: Mapping[str, Any], home: Homecoming) -> None:
    handle = session.references.handle(handle_info_of(head, session.info.id))
    name = head.name
    if name == RESULT_NAME:
        home.value, home.has_value = handle, True
        return
    if _changed_here(name, session.namespace, before):
        name = f"{name}__remote"
        home.notices.append(f"{head.name} changed here too while the cell ran: the remote value is {name}.")
    session.namespace[name] = handle
    session.mirror.drop([name])
    session.manifest.bind_handle(name, handle)


def _take_result(session: RemoteSession, reply: CellReply, home: Homecoming) -> None:
    value = session.namespace.pop(RESULT_NAME, _NOTHING)
    if value is not _NOTHING:
        session.mirror.drop([RESULT_NAME])
    if reply.result == "unit" and value is not _NOTHING:
        home.value, home.has_value = value, True


def _take_exception(session: RemoteSession, reply: CellReply, home: Homecoming) -> None:
    for name in reply.exception.names if reply.exception is not None else ():
        if isinstance(session.namespace.get(name), BaseException) and name.startswith(_PRIVATE):
            home.exception = session.namespace.pop(name)
            session.mirror.drop([name])


def _write_files(session: RemoteSession, reply: CellReply, inline: Sequence[Buffer], home: Homecoming) -> None:
    receiver = session.receiver()
    for ref in reply.files:
        data = None if ref.data is None else receiver.get(ref.data, inline)
        written, notice = session.local_files.bring_home(ref, data, session.files.get(ref.path, ""))
        home.returned_bytes += ref.size_bytes if data is not None else 0
        if written:
            home.files.append(written)
        if notice:
            home.notices.append(notice)
        if ref.deleted:
            session.files.pop(ref.path, None)
        elif ref.digest:
            session.files[ref.path] = ref.digest


def _changed_here(name: str, namespace: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return namespace.get(name, _NOTHING) is not before.get(name, _NOTHING)
