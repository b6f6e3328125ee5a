"""The providers of one control plane, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernel_bridge.errors import NotFound
from remote_runtime.providers.base import Provider, Stock


class Providers:
    """An ordered table of providers; the first is where sessions without a card run."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._by_name = {provider.name: provider for provider in providers}

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Provider:
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound(f"This runtime has no provider {name[:80]!r}.") from None

    @property
    def default(self) -> Provider:
        """Return the first."""
        return next(iter(self))

    async def stocks(self) -> tuple[Stock, ...]:
        """Return every card of every provider, all of them free."""
        found = [
            Stock(
                provider=provider.name, card=offer.card, total=offer.total, free=offer.total, simulated=offer.simulated
            )
            for provider in self
            for offer in await provider.offers()
        ]
        return tuple(found)

    async def close(self) -> None:
        """Let go of what belongs to this process."""
        for provider in self:
            await provider.close()
