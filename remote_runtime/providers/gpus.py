"""Which cards this host has: those its driver tells of, and those that were declared.

Cells that ask for a declared one run on the CPU, and every place that shows it says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.resources import ANY, CARDS, GpuRequest
from remote_runtime.providers import nvml
from remote_runtime.providers.base import Offer
from remote_runtime.providers.nvml import Card, Survey


class Inventory:
    """The cards of one host, by name."""

    def __init__(self, simulated: GpuRequest = GpuRequest(), look: Callable[[], Survey] = nvml.survey) -> None:
        self._simulated: dict[str, int] = {}
        self._look = look
        self.simulate(simulated)

    def simulate(self, cards: GpuRequest) -> None:
        """Declare that there are at least so many; the same declaration twice changes nothing. Raises BadOption."""
        for choice in cards.choices:
            if choice.card == ANY:
                raise BadOption(f"Simulate a card by its name: {', '.join(CARDS)}.")
        for choice in cards.choices:
            self._simulated[choice.card] = max(choice.count, self._simulated.get(choice.card, 0))

    def offers(self) -> tuple[Offer, ...]:
        """Return what there is now."""
        declared = (Offer(card=card, total=total, simulated=True) for card, total in sorted(self._simulated.items()))
        return (*real_offers(self._look().cards), *declared)

    def files(self, devices: Iterable[str]) -> tuple[str, ...]:
        """Return the files through which the driver of these cards, named by UUID, is reached."""
        wanted = set(devices)
        found = (file for card in self._look().cards if card.uuid in wanted for file in card.files) if wanted else ()
        return tuple(dict.fromkeys(found))

    def has_driver(self) -> bool:
        """Tell whether there is anything that has to be kept from who did not ask for it."""
        return bool(self._look().cards)


def real_offers(cards: Iterable[Card]) -> tuple[Offer, ...]:
    """Return the cards that are well, by name."""
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for card in cards:
        if not card.problem:
            by_name[card.name].append(card.uuid)
    return tuple(
        Offer(card=name, total=len(devices), devices=tuple(devices)) for name, devices in sorted(by_name.items())
    )
