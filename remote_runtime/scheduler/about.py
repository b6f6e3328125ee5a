"""What the runtime says of itself."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Final

from kernel_bridge.protocol.resources import GpuRequest
from kernel_bridge.protocol.version import PROTOCOL, STORE_SCHEMA
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.placement import free_stocks

PYTHONS: Final = ("3.11", "3.12", "3.13")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardStock:
    """How many cards of one name there are."""

    card: str
    total: int
    free: int
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInfo:
    """What a runtime says of itself."""

    version: str
    protocol: int
    schema: int
    embedded: bool
    boot_id: str
    place: str
    isolation: str
    mend: str
    cards: tuple[CardStock, ...]
    python_versions: tuple[str, ...]
    own_python: str
    price_table: str
    arena: str  # how memory is shared with a notebook on this host
    pid: int
    busy: bool
    containers: int


class About:
    """Answers questions about the runtime, and takes the one thing that can be declared."""

    def __init__(self, parts: Parts, version: str, arena: str) -> None:
        self._parts = parts
        self._version = version
        self._arena = arena

    def simulate(self, cards: GpuRequest) -> None:
        """Declare that this host has at least these cards, simulated; raises BadOption."""
        self._parts.inventory.simulate(cards)

    async def runtime(self) -> RuntimeInfo:
        """Return what there is now."""
        parts = self._parts
        ground = parts.providers.default.ground
        stocks = free_stocks(await parts.providers.stocks(), parts.roster.held())
        cards = [
            CardStock(card=stock.card, total=stock.total, free=stock.free, simulated=stock.simulated)
            for stock in stocks
        ]
        return RuntimeInfo(
            version=self._version,
            protocol=PROTOCOL,
            schema=STORE_SCHEMA,
            embedded=parts.settings.embedded,
            boot_id=ground.boot_id,
            place=ground.place,
            isolation=ground.isolation,
            mend=ground.mend,
            cards=tuple(cards),
            python_versions=PYTHONS,
            own_python=".".join(platform.python_version_tuple()[:2]),
            price_table=parts.prices.label,
            arena=self._arena,
            pid=os.getpid(),
            busy=any(live.running for live in parts.roster),
            containers=len(parts.roster),
        )
