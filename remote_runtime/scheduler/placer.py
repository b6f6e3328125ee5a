"""Placement with the world around it: what is there now, and where it is written down."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from kernel_bridge.protocol.resources import parse_gpu
from kernel_bridge.protocol.sessions import SessionSpec
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.placement import Placement, check_room, free_stocks, place
from remote_runtime.store.rows import Placed, SessionRow


class Placer:
    """Finds cards for sessions."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def find(self, spec: SessionSpec) -> Placement:
        """Return what this request would get now; raises NoCapacity or BadOption."""
        providers = self._parts.providers
        stocks = free_stocks(await providers.stocks(), self._parts.roster.held())
        placement = place(parse_gpu(spec.gpu), stocks, providers.default.name)
        check_room(spec.cpu, spec.memory_bytes, providers[placement.provider].ground)
        return placement

    async def record(self, row: SessionRow, placement: Placement) -> SessionRow:
        """Write down where the session runs and what an hour of it costs, and make its directories."""
        parts, spec = self._parts, row.spec
        ground = parts.providers[placement.provider].ground
        rates = parts.prices.rates(placement.card)
        await asyncio.to_thread(parts.places.make, row.id)
        placed = Placed(
            card=placement.card,
            card_count=placement.count,
            simulated=placement.simulated,
            provider=placement.provider,
            place=ground.place,
            isolation=ground.isolation,
            mend=ground.mend,
            boot_id=ground.boot_id,
            arena=str(parts.places.arena(row.id)),
            rate_microusd_per_h=rates.total_microusd_per_h(placement.count, spec.billed_cpu, spec.billed_memory_bytes),
        )
        return replace(await parts.store.run(parts.store.sessions.place, row.id, placed), new=row.new)
