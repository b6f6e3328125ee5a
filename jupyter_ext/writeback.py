"""What a cell left behind -> the notebook's namespace and folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from types import ModuleType
from typing import Any, Final

from IPython import get_ipython

from jupyter_ext import arrivals, conflicts
from jupyter_ext.data_only import harmless_reply
from jupyter_ext.handles import handle_info_of
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.shipment import size_of
from kernel_bridge.capture.finalizers import has_finalizer, hush_last
from kernel_bridge.capture.units import ReceivedUnit
from kernel_bridge.codecs.wire_units import unpack_unit
from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.cells import RANDOM_NAME, RESULT_NAME, CellReply, HandleHead
from kernel_bridge.protocol.messages import Buffer

_NOTHING: Final = object()
_LAST_RESULTS: Final = ("_", "__", "___")
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
    session: RemoteSession,
    reply: CellReply,
    inline: Sequence[Buffer],
    before: dict[str, Any],
    imports: Iterable[str] = (),
) -> Homecoming:
    """Bind what changed, delete what was deleted, write the files.

    `before` is the namespace when the cell was sent, `imports` the modules that the cell's text imports.
    """
    if session.mirror.takes_data_only:
        reply = harmless_reply(reply)
    home = Homecoming(returned_bytes=size_of(reply.units), notices=list(reply.notices))
    _accept_units(session, reply.units, inline, before, home)
    for name in reply.deleted:
        _delete(session, name, before, home)
    for head in reply.handles:
        _bind_handle(session, head, before, home)
    _import_parts(session, reply, imports)
    _take_random_states(session)
    _take_result(session, reply, home)
    _take_exception(session, reply, home)
    _write_files(session, reply, inline, home)
    session.buffers().release()
    _let_copies_go(session, reply, before)
    return home


def keep_output(shell: Any, value: Any) -> None:
    """Make a value `Out[n]` and `_` without displaying it: its display has come from the container."""
    hook = shell.displayhook
    if hasattr(hook, "update_user_ns"):
        hook.update_user_ns(value)
        hook.fill_exec_result(value)


def value_of(session: RemoteSession, head: UnitHead, inline: Sequence[Buffer]) -> Any:
    """Return the value of a unit that is bound to no name here; raises what unpickling raises."""
    values = session.mirror.rebuild(unpack_unit(head, inline, session.receiver()))[0]
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
    contested = conflicts.contested(session.mirror, units)
    for unit in units if contested else ():
        if not contested.isdisjoint(unit.names):
            _set_beside(session, unit, contested, home)
    units = [unit for unit in units if contested.isdisjoint(unit.names)]
    names = [name for unit in units for name in unit.names]
    newer = {name: namespace.get(name, _NOTHING) for name in names if _changed_here(name, namespace, before)}
    report = session.mirror.accept(units)
    _let_history_follow(session.namespace, before, names)
    session.manifest.delivered(report.bound)
    for refusal in report.failures:
        names = [name for name in refusal.names if not name.startswith(_PRIVATE)]
        if names:
            home.notices.append(f"{', '.join(names)} did not come home: {refusal.reason}.")
    for name, value in newer.items():
        _keep_both(session, name, value, home)


def _let_history_follow(namespace: Mapping[str, Any], before: Mapping[str, Any], names: Sequence[str]) -> None:
    """Let IPython know `_` for its own where a new value took the place of one that could not be changed.

    It leaves `_` alone as long as that is not what it bound there.
    """
    hook = getattr(get_ipython(), "displayhook", None)
    for name in _LAST_RESULTS:
        old = before.get(name, _NOTHING)
        if name not in names and old is getattr(hook, name, None) and name in namespace:
            setattr(hook, name, namespace[name])


def _set_beside(session: RemoteSession, unit: ReceivedUnit, contested: frozenset[str], home: Homecoming) -> None:
    """Bind what a cell made of values that were changed in place here meanwhile under names of their own."""
    try:
        values = session.mirror.rebuild(unit)[0]
    except Exception as error:  # noqa: BLE001 - unpickling runs any code
        home.notices.append(f"{', '.join(unit.names)} did not come home: {type(error).__name__}: {error}")
        return
    for name, value in zip(unit.names, values.values(), strict=True):
        session.namespace[_remote_name(name) if name in contested else name] = value
        if name in contested:
            home.notices.append(_both_changed(name))
    session.mirror.drop(unit.names)


def _remote_name(name: str) -> str:
    return f"{name}__remote"


def _both_changed(name: str) -> str:
    return f"{name} changed here too while the cell ran: the remote value is {_remote_name(name)}."


def _keep_both(session: RemoteSession, name: str, value: Any, home: Homecoming) -> None:
    remote = session.namespace.pop(name, _NOTHING)
    if value is not _NOTHING:
        session.namespace[name] = value
    session.mirror.drop([name])
    if remote is not _NOTHING:
        session.namespace[_remote_name(name)] = remote
        home.notices.append(_both_changed(name))


def _delete(session: RemoteSession, name: str, before: Mapping[str, Any], home: Homecoming) -> None:
    if _changed_here(name, session.namespace, before):
        home.notices.append(f"{name} was deleted remotely but changed here while the cell ran: kept.")
    else:
        session.namespace.pop(name, None)
    session.mirror.retire([name])


def _bind_handle(session: RemoteSession, head: HandleHead, before: Mapping[str, Any], home: Homecoming) -> None:
    handle = session.references.handle(handle_info_of(head, session.info.id))
    name = head.name
    if name == RESULT_NAME:
        home.value, home.has_value = handle, True
        return
    if _changed_here(name, session.namespace, before):
        name = _remote_name(name)
        home.notices.append(_both_changed(head.name))
    session.namespace[name] = handle
    session.mirror.drop([name])
    session.manifest.bind_handle(name, handle, head.beside)


def _import_parts(session: RemoteSession, reply: CellReply, imports: Iterable[str]) -> None:
    """Import the parts of a package whose name the cell bound: `import a.b` binds `a`, and gives it its `b`."""
    parts = [name for name in imports if "." in name and name not in sys.modules]
    bound = (session.namespace.get(name) for head in reply.units for name in head.names) if parts else ()
    packages = {value.__name__ for value in bound if isinstance(value, ModuleType)}
    for part in parts:
        if part.partition(".")[0] in packages:
            with suppress(Exception):  # a module's own code may raise anything; using it says what
                import_module(part)


def _take_random_states(session: RemoteSession) -> None:
    states = session.namespace.pop(RANDOM_NAME, None)
    if states is not None:
        session.mirror.drop([RANDOM_NAME])
        session.random.put(states)  # a library that is not imported here has no generator to set


def _take_result(session: RemoteSession, reply: CellReply, home: Homecoming) -> None:
    value = session.namespace.pop(RESULT_NAME, _NOTHING)
    if value is not _NOTHING:
        session.mirror.retire([RESULT_NAME])
    if reply.result == "unit" and value is not _NOTHING:
        home.value, home.has_value = value, True


def _take_exception(session: RemoteSession, reply: CellReply, home: Homecoming) -> None:
    for name in reply.exception.names if reply.exception is not None else ():
        if isinstance(session.namespace.get(name), BaseException) and name.startswith(_PRIVATE):
            home.exception = session.namespace.pop(name)
            session.mirror.retire([name])


def _let_copies_go(session: RemoteSession, reply: CellReply, before: dict[str, Any]) -> None:
    """Drop what the cell let go of, or put something in the place of: it was finalised there, where that happened."""
    changed = chain(reply.deleted, *(head.names for head in reply.units))
    for name in [name for name in changed if has_finalizer(before.get(name))]:
        if session.namespace.get(name) is not before[name]:
            hush_last(before.pop(name))


def _write_files(session: RemoteSession, reply: CellReply, inline: Sequence[Buffer], home: Homecoming) -> None:
    arrived = arrivals.bring_home(session, reply.files, inline)
    home.returned_bytes += arrived.size_bytes
    home.files += arrived.written
    home.notices += arrived.notices


def _changed_here(name: str, namespace: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return namespace.get(name, _NOTHING) is not before.get(name, _NOTHING)
