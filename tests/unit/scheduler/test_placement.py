"""Which card a request gets."""

from __future__ import annotations

import pytest

from kernel_bridge.errors import BadOption, NoCapacity
from kernel_bridge.protocol.resources import parse_gpu
from remote_runtime.providers.base import Ground, Stock
from remote_runtime.scheduler.placement import Placement, check_room, free_stocks, place


def stock(card: str, total: int, free: int | None = None, *, simulated: bool = False) -> Stock:
    return Stock(provider="p", card=card, total=total, free=total if free is None else free, simulated=simulated)


def real(card: str, *devices: str, provider: str = "p") -> Stock:
    return Stock(provider=provider, card=card, total=len(devices), free=len(devices), devices=devices)


@pytest.mark.parametrize(
    ("asked", "stocks", "card", "count"),
    [
        ("cpu", [], "cpu", 0),
        ("A100", [stock("A100", 1)], "A100", 1),
        ("a100", [stock("A100", 1)], "A100", 1),
        ("H100,A100", [stock("A100", 1)], "A100", 1),
        ("H100,A100", [stock("A100", 1), stock("H100", 1)], "H100", 1),
        ("H100,A100", [stock("A100", 1), stock("H100", 1, 0)], "A100", 1),
        ("A100", [stock("A100-80GB", 1)], "A100-80GB", 1),
        ("A100", [stock("A100-80GB", 1), stock("A100", 1)], "A100", 1),
        ("A100:2", [stock("A100", 1), stock("A100-40GB", 2)], "A100-40GB", 2),
        ("any", [stock("T4", 1, 0), stock("L4", 2)], "L4", 1),
        ("any", [stock("A100", 4, simulated=True), stock("T4", 1)], "T4", 1),
        ("any", [stock("H100-MIG-1g.10gb", 7), stock("T4", 1)], "T4", 1),
        ("h100-mig-1g.10gb", [stock("H100-MIG-1g.10gb", 7), stock("H100", 1)], "H100-MIG-1g.10gb", 1),
        ("A10G", [stock("A10", 1)], "A10", 1),
        ("GeForce-RTX-4090", [stock("NVIDIA GeForce RTX 4090", 1)], "NVIDIA GeForce RTX 4090", 1),
        ("nvidia geforce rtx 4090:2", [stock("NVIDIA GeForce RTX 4090", 2)], "NVIDIA GeForce RTX 4090", 2),
    ],
)
def test_the_first_choice_that_is_free_is_taken(asked: str, stocks: list[Stock], card: str, count: int) -> None:
    """Choices in their order; the very card before a size of it; real before simulated; emptier before fuller."""
    placed = place(parse_gpu(asked), stocks, "p")
    assert (placed.card, placed.count, placed.waits) == (card, count, False)


def test_what_is_there_but_taken_is_waited_for() -> None:
    """It is placed, and says that it waits."""
    assert place(parse_gpu("A100"), [stock("A100", 1, 0)], "p") == Placement(
        provider="p", card="A100", count=1, waits=True
    )


@pytest.mark.parametrize(("asked", "stocks"), [("H100", [stock("A100", 2, 1)]), ("A100:3", [stock("A100", 2, 1)])])
def test_a_refusal_lists_what_is_there_and_the_ways_on(asked: str, stocks: list[Stock]) -> None:
    """It names the cards, and how to go on without them."""
    with pytest.raises(NoCapacity) as refused:
        place(parse_gpu(asked), stocks, "p")
    text = str(refused.value)
    assert "2 A100, 1 free" in text
    assert f"`%gpu_config simulate={asked if ':' in asked else asked + ':1'}`" in text
    assert text.endswith("`%gpu_connect URL`, or run without a card: `%%gpu cpu`.")


def test_a_host_without_cards_says_so() -> None:
    """Nothing is listed as nothing, and `any` becomes a card that can be simulated."""
    with pytest.raises(NoCapacity, match=r"this host has no cards.*simulate=A100:1"):
        place(parse_gpu("any"), [], "p")


def test_what_containers_hold_is_taken_off() -> None:
    """Free is what is left; never less than nothing."""
    left = free_stocks([stock("A100", 2), stock("T4", 1)], {("p", "A100"): 1, ("p", "T4"): 2, ("q", "A100"): 1})
    assert [(one.card, one.free) for one in left] == [("A100", 1), ("T4", 0)]


HOST = Ground(place="box", boot_id="b", isolation="", cores=2.0, memory_bytes=20 << 30)


@pytest.mark.parametrize(
    ("cpu", "memory_gib", "named"),
    [(0, 900, "No 900.0 GiB here"), (1000, 0, "No 1000 cores here"), (3, 21, "No 3 cores and 21.0 GiB here")],
)
def test_more_than_the_host_has_is_refused(cpu: float, memory_gib: int, named: str) -> None:
    """The message names what was too much and what the host has."""
    with pytest.raises(NoCapacity, match=named) as raised:
        check_room(cpu, memory_gib << 30, HOST)
    assert "box can have up to 2 cores and 20.0 GiB" in str(raised.value)


def test_what_fits_is_not_counted_against_others() -> None:
    """Cores and memory are limits, not reservations; nothing asked, or nothing known of the host, always fits."""
    check_room(2, 20 << 30, HOST)
    check_room(0, 0, HOST)
    check_room(64, 1 << 40, Ground(place="paper", boot_id="b", isolation=""))


def test_less_memory_than_a_kernel_starts_in_is_refused() -> None:
    """Better than a container that is killed while it starts."""
    with pytest.raises(BadOption, match="at least 256 MiB"):
        check_room(0, 10 << 20, HOST)


def test_real_cards_are_given_whole_and_by_their_identity() -> None:
    """What a container holds nobody gets, whichever of a host's providers offers it."""
    offered = [real("H100", "GPU-a", "GPU-b", "GPU-c"), real("H100", "GPU-a", "GPU-b", "GPU-c", provider="q")]
    stocks = free_stocks(offered, {("p", "H100"): 1}, {"GPU-a"})
    assert [(one.free, one.devices) for one in stocks] == [(2, ("GPU-b", "GPU-c"))] * 2
    assert place(parse_gpu("H100:2"), stocks, "p").devices == ("GPU-b", "GPU-c")
    waiting = place(parse_gpu("H100:3"), stocks, "p")
    assert (waiting.waits, waiting.devices) == (True, ())


@pytest.mark.parametrize("asked", ["A100", "any", "H100-MIG-3g.40gb"])
def test_a_part_of_a_card_is_for_those_who_ask_for_it(asked: str) -> None:
    """Who wants a card, or another part, is refused."""
    with pytest.raises(NoCapacity):
        place(parse_gpu(asked), [real("A100-40GB-MIG-1g.5gb", "MIG-1")], "p")
