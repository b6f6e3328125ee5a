"""Usage: the ledger's lines, and what runs now costs so far."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, owners_of
from remote_runtime.api.description import ID_LIMIT_CHARS
from remote_runtime.billing.accounts import Accounts
from remote_runtime.billing.prices import PriceTable
from remote_runtime.store.store import Store

Session = Annotated[str | None, Query(max_length=ID_LIMIT_CHARS, pattern="^[A-Za-z0-9_-]*$")]
Since = Annotated[float, Query(ge=0, le=1e12, allow_inf_nan=False)]


def router(store: Store, accounts: Accounts, prices: PriceTable, gate: Gate) -> APIRouter:
    """Make the route of usage."""
    routes = APIRouter(prefix="/v1/usage", dependencies=[Depends(gate.person)])

    @routes.get("")
    def usage(request: Request, session: Session = None, since: Since = 0.0) -> dict[str, Any]:
        """Show lines of containers that ended since then (epoch seconds), and running ones as if they ended now."""
        owner = owners_of(request)
        entries = store.ledger.entries(session, since, owner)
        running = accounts.running(session, owner)
        return {
            "entries": to_wire(entries),
            "running": to_wire(running),
            "spent_microusd": sum(entry.cost_microusd for entry in (*entries, *running)),
            "price_table": prices.label,
        }

    return routes
