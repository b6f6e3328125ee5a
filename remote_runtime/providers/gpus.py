"""Which cards this host has.

So far only declared ones: cells that ask for them run on the CPU, and every place that shows them says so.
"""

from __future__ import annotations

from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.resources import ANY, CARDS, GpuRequest
from remote_runtime.providers.base import Offer


class Inventory:
    """The cards of one host, by name."""

    def __init__(self, simulated: GpuRequest = GpuRequest()) -> None:
        self._simulated: dict[str, int] = {}
        self.simulate(simulated)

    def simulate(self, cards: GpuRequest) -> None:
        """Declare that there are at least so many; the same declaration twice changes nothing. Raises BadOption."""
        for choice in cards.choices:
            if choice.card == ANY:
                raise BadOption(f"Simulate a card by its name: {', '.join(CARDS)}.")
        for choice in cards.choices:
            self._simulated[choice.card] = max(choice.count, self._simulated.get(choice.card, 0))

    def offers(self) -> tuple[Offer, ...]:
        """Return what there is."""
        return tuple(Offer(card=card, total=total, simulated=True) for card, total in sorted(self._simulated.items()))
