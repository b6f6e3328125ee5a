"""The inventory of a host: what its driver told, and what was declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_bridge.protocol.resources import parse_gpu
from remote_runtime.providers import nvml
from remote_runtime.providers.base import Offer
from remote_runtime.providers.gpus import Inventory
from remote_runtime.providers.nvml import Card, Survey

SHARED = ("/dev/nvidiactl", "/dev/nvidia-uvm")


def card(number: int, name: str = "H100", problem: str = "") -> Card:
    files = (*SHARED, f"/dev/nvidia{number}")
    return Card(uuid=f"GPU-{number}", name=name, memory_bytes=80 << 30, files=files, problem=problem)


def inventory(*cards: Card, simulated: str = "cpu") -> Inventory:
    return Inventory(parse_gpu(simulated), look=lambda: Survey(cards=cards))


def test_cards_are_offered_by_name_with_their_identities() -> None:
    """Real ones first; one that is not well is offered to nobody."""
    host = inventory(card(0), card(1), card(2, "A100-80GB"), card(3, problem="it is lost"), simulated="T4:2")
    assert host.offers() == (
        Offer(card="A100-80GB", total=1, devices=("GPU-2",)),
        Offer(card="H100", total=2, devices=("GPU-0", "GPU-1")),
        Offer(card="T4", total=2, simulated=True),
    )


def test_a_container_is_shown_the_files_of_its_own_cards() -> None:
    """Those of the driver once, those of other cards not at all."""
    host = inventory(card(0), card(1), card(2))
    assert host.files(["GPU-0", "GPU-2"]) == (*SHARED, "/dev/nvidia0", "/dev/nvidia2")
    assert host.files([]) == ()


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this host has a card")
def test_a_host_without_a_driver_is_no_error() -> None:
    """NVML says why, and there is nothing to offer."""
    seen = nvml.survey()
    assert seen.cards == ()
    assert "NVML" in seen.problem
    assert Inventory().offers() == ()
    assert nvml.usage() == ()
