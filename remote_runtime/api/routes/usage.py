"""Usage: the ledger's lines, and what runs now costs so far."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate
from remote_runtime.billing.accounts import Accounts
from remote_runtime.billing.prices import PriceTable
from remote_runtime.store.store import Store


def router(store: Store, accounts: Accounts, prices: PriceTable, gate: Gate) -> APIRouter:
    """Make the route of usage."""
    routes = APIRouter(prefix="/v1/usage", dependencies=[Depends(gate.person)])

    @routes.get("")
    def usage(session: str | None = None, since: float = 0.0) -> dict[str, Any]:
        """Show lines of containers that ended since then (epoch seconds), and running ones as if they ended now."""
        entries = store.ledger.entries(session, since)
        running = accounts.running(session)
        return {
            "entries": to_wire(entries),
            "running": to_wire(running),
            "spent_microusd": sum(entry.cost_microusd for entry in (*entries, *running)),
            "price_table": prices.label,
        }

    return routes
