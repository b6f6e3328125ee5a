"""Placement with the world around it: what is there now, and where it is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from kernel_bridge.protocol.resources import parse_gpu
from kernel_bridge.protocol.sessions import SessionSpec
from remote_runtime.images.environment import needs_engine, no_engine
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.placement import Placement, check_room, free_stocks, left_over, place
from remote_runtime.store.rows import Placed, SessionRow

_NOBODY: Final[Mapping[tuple[str, str], int]] = MappingProxyType({})


class Placer:
    """Finds cards for sessions."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def find(self, spec: SessionSpec, promised: Mapping[tuple[str, str], int] = _NOBODY) -> Placement:
        """Return what this request would get now, beside what others are promised; raises NoCapacity or BadOption."""
        providers = self._parts.providers
        stocks = free_stocks(await providers.stocks(), self._parts.roster.held(), self._parts.roster.devices())
        chosen = self._chosen(spec)
        usual = providers.named(chosen) if chosen else await providers.usual()
        if chosen:
            stocks = tuple(stock for stock in stocks if stock.provider == chosen)
        placement = place(parse_gpu(spec.gpu), left_over(stocks, promised), usual.name)
        check_room(spec.cpu, spec.memory_bytes, providers[placement.provider].ground)
        return placement

    def _chosen(self, spec: SessionSpec) -> str:
        """Return the provider that a session names or that its image needs; empty where any will do.

        Raises BadImage where none of those that may be starts such an image.
        """
        what = needs_engine(spec.image)
        if not what:
            return spec.provider
        providers = self._parts.providers
        able = [provider.name for provider in providers if provider.ground.starts_images]
        named = providers.named(spec.provider).name if spec.provider else ""
        if not able or (named and named not in able):
            raise no_engine(what)
        return named or able[0]

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
