"""Values of another session that a cell uses: they move to the cell's session on first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_ext.prefetch import CapturedCell
from jupyter_ext.remote_session import RemoteSession
from jupyter_ext.session import Sessions
from jupyter_ext.shipment import foreign_handles
from kernel_bridge.capture.handle import Handle, handle_info
from kernel_bridge.capture.units import Export
from kernel_bridge.errors import CannotTravel


@dataclass(frozen=True, slots=True)
class Moving:
    """A value on its way from one session to another."""

    handle: Handle
    value: Any
    notice: str


def fetch_foreign(sessions: Sessions, session: RemoteSession, cell: CapturedCell) -> dict[str, Moving]:
    """Fetch the values of handles that belong to other sessions; raises RemoteValueError for one that is lost.

    Do it before this session's container is woken: both may want the same card.
    """
    return {
        name: Moving(handle, sessions.fetch(info := handle_info(handle)), f"{name} was copied from {info.session}")
        for name, handle in foreign_handles(session, cell).items()
        if not session.manifest.holds_handle(name, session.namespace)
    }


def with_moved(session: RemoteSession, exported: Export, moving: Mapping[str, Moving]) -> Export:
    """Add these values to an export; the notebook's names stay bound to their handles. Raises CannotTravel."""
    units = list(exported.units)
    for name, each in moving.items():
        session.namespace[name] = each.value
        try:
            added = session.mirror.export([name])
        finally:
            session.namespace[name] = each.handle
            session.mirror.drop([name])
        for refusal in added.refusals:
            raise CannotTravel(f"{name} cannot move to this session: {refusal.reason}.")
        session.manifest.bind_handle(name, each.handle)
        units += added.units
    return Export(tuple(units), exported.refusals, exported.too_large, exported.unchanged)
