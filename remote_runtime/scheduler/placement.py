"""Which card a request gets, of those that are there. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kernel_bridge.errors import BadOption, NoCapacity
from kernel_bridge.protocol.cards import is_slice, same_card
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.resources import ANY, CPU, CardChoice, GpuRequest, show_size
from remote_runtime.providers.base import Ground, Stock

WAYS_ON: Final = (
    "Declare a simulated card with `%gpu_config simulate={card}`, connect to a GPU host with `%gpu_connect URL`, "
    "or run without a card: `%%gpu cpu`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a request gets. `waits`: the cards are there but all taken."""

    provider: str
    card: str
    count: int
    simulated: bool = False
    waits: bool = False
    devices: tuple[str, ...] = ()  # the UUIDs of the cards, where they are real and free


def place(request: GpuRequest, stocks: Sequence[Stock], cpu_provider: str) -> Placement:
    """Return the first choice that is free, else the first that is there at all; raises NoCapacity.

    Among cards that match a choice equally well, real ones come before simulated ones and emptier before fuller.
    """
    if not request.choices:
        return Placement(provider=cpu_provider, card=CPU, count=0)
    fitting = [(choice, stock) for choice in request.choices for stock in _matches(choice, stocks)]
    for choice, stock in fitting:
        if stock.free >= choice.count:
            return _placed(choice, stock, waits=False)
    for choice, stock in fitting:
        return _placed(choice, stock, waits=True)
    raise NoCapacity(refusal(request, stocks))


def check_room(cpu: float, memory_bytes: int, ground: Ground) -> None:
    """Refuse what this host could never give; raises NoCapacity, or BadOption for memory no kernel starts in.

    They are limits, not reservations: containers share what there is, so nobody waits for them.
    """
    if 0 < memory_bytes < DEFAULTS.least_memory_bytes:
        least = show_size(DEFAULTS.least_memory_bytes)
        raise BadOption(f"`--memory`: {show_size(memory_bytes)} is too little, a kernel takes at least {least}.")
    too_much = [f"{cpu:g} cores"] if 0 < ground.cores < cpu else []
    too_much += [show_size(memory_bytes)] if 0 < ground.memory_bytes < memory_bytes else []
    if too_much:
        raise NoCapacity(
            f"No {' and '.join(too_much)} here: a container on {ground.place} can have up to "
            f"{ground.cores:g} cores and {show_size(ground.memory_bytes)} of memory. "
            "Ask for less with `--cpu` or `--memory`, or connect to a larger host with `%gpu_connect URL`."
        )


def free_stocks(
    offered: Sequence[Stock], held: Mapping[tuple[str, str], int], devices: Collection[str] = ()
) -> tuple[Stock, ...]:
    """Return the stocks with what containers hold taken off: counted by (provider, card), real cards by their UUIDs.

    A real card is one card, whichever providers of a host offer it.
    """
    return tuple(_free(stock, held.get((stock.provider, stock.card), 0), devices) for stock in offered)


def left_over(stocks: Sequence[Stock], promised: Mapping[tuple[str, str], int]) -> tuple[Stock, ...]:
    """Return what is free beside what those get who waited longer, counted by (provider, card)."""
    return tuple(
        replace(stock, free=max(0, stock.free - promised.get((stock.provider, stock.card), 0))) for stock in stocks
    )


def refusal(request: GpuRequest, stocks: Sequence[Stock]) -> str:
    """Say what was asked for, what is here, and both ways on."""
    there = ", ".join(_inventory_line(stock) for stock in stocks) or "no cards"
    wished = request.choices[0]
    name = "A100" if wished.card == ANY else wished.card
    return f"No {request} here: this host has {there}. {WAYS_ON.format(card=f'{name}:{wished.count}')}"


def _matches(choice: CardChoice, stocks: Sequence[Stock]) -> list[Stock]:
    """Return the stocks that could ever serve this choice, best first."""
    good = [stock for stock in stocks if stock.total >= choice.count and _fit(choice.card, stock.card) is not None]
    return sorted(
        good, key=lambda stock: (stock.simulated, _fit(choice.card, stock.card) or 0, -stock.free, stock.card)
    )


def _fit(wanted: str, card: str) -> int | None:
    """Return 0 for the very card, 1 for a size of it (A100 asked for, A100-80GB there), None for another."""
    if wanted == ANY:
        return None if is_slice(card) else 0
    if same_card(wanted, card):
        return 0
    return 1 if re.fullmatch(rf"{re.escape(wanted)}-\d+GB", card, re.IGNORECASE) else None


def _free(stock: Stock, held: int, devices: Collection[str]) -> Stock:
    if not stock.devices:
        return replace(stock, free=max(0, stock.total - held))
    left = tuple(device for device in stock.devices if device not in devices)
    return replace(stock, free=len(left), devices=left)


def _placed(choice: CardChoice, stock: Stock, *, waits: bool) -> Placement:
    return Placement(
        provider=stock.provider,
        card=stock.card,
        count=choice.count,
        simulated=stock.simulated,
        waits=waits,
        devices=() if waits else stock.devices[: choice.count],
    )


def _inventory_line(stock: Stock) -> str:
    kind = " (simulated)" if stock.simulated else ""
    taken = f", {stock.free} free" if stock.free < stock.total else ""
    return f"{stock.total} {stock.card}{kind}{taken}"
