"""The providers of one control plane, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernel_bridge.errors import BadOption, NotFound
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

    def named(self, name: str) -> Provider:
        """Return the one a session asks for; raises BadOption that says which there are."""
        if name not in self._by_name:
            there = ", ".join(self._by_name)
            raise BadOption(
                f"`--provider {name[:80]}`: this runtime has {there}. Start one that has it: "
                f"`cellburst runtime serve --provider {there},{name[:80]}`."
            )
        return self._by_name[name]

    async def usual(self) -> Provider:
        """Return where sessions run that do not say: the first that answers, or the first where none does."""
        if len(self._by_name) > 1:
            for provider in self:
                if await provider.reachable():
                    return provider
        return self.default

    async def stocks(self) -> tuple[Stock, ...]:
        """Return every card of every provider, all of them free."""
        found = [
            Stock(
                provider=provider.name,
                card=offer.card,
                total=offer.total,
                free=offer.total,
                simulated=offer.simulated,
                devices=offer.devices,
            )
            for provider in self
            for offer in await provider.offers()
        ]
        return tuple(found)

    async def close(self) -> None:
        """Let go of what belongs to this process."""
        for provider in self:
            await provider.close()
