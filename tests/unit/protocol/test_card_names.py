"""What drivers call their cards, and what people do."""

from __future__ import annotations

import pytest

from kernel_bridge.protocol.cards import card_name, is_slice, same_card

GIB = 1 << 30

# As NVML's nvmlDeviceGetName returns them.
NAMES = [
    ("Tesla T4", 15 * GIB, "T4"),
    ("NVIDIA T4", 15 * GIB, "T4"),
    ("NVIDIA L4", 23 * GIB, "L4"),
    ("NVIDIA A10", 23 * GIB, "A10"),
    ("NVIDIA A10G", 23 * GIB, "A10"),
    ("NVIDIA L40S", 45 * GIB, "L40S"),
    ("A100-SXM4-40GB", 40 * GIB, "A100-40GB"),
    ("NVIDIA A100-SXM4-40GB", 40 * GIB, "A100-40GB"),
    ("NVIDIA A100-PCIE-40GB", 40 * GIB, "A100-40GB"),
    ("NVIDIA A100-SXM4-80GB", 80 * GIB, "A100-80GB"),
    ("NVIDIA A100 80GB PCIe", 80 * GIB, "A100-80GB"),
    ("NVIDIA A100", 79 * GIB, "A100-80GB"),
    ("NVIDIA A100", 39 * GIB, "A100-40GB"),
    ("NVIDIA A100", 0, "A100"),
    ("NVIDIA H100 80GB HBM3", 80 * GIB, "H100"),
    ("NVIDIA H100 PCIe", 80 * GIB, "H100"),
    ("NVIDIA H100 NVL", 94 * GIB, "H100"),
    ("NVIDIA H200", 140 * GIB, "H200"),
    ("NVIDIA H200 NVL", 140 * GIB, "H200"),
    ("NVIDIA B200", 180 * GIB, "B200"),
    ("NVIDIA B300 SXM6 AC", 270 * GIB, "B300"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 95 * GIB, "RTX-PRO-6000"),
    ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5 * GIB, "A100-40GB-MIG-1g.5gb"),
    ("NVIDIA H100 80GB HBM3 MIG 3g.40gb", 40 * GIB, "H100-MIG-3g.40gb"),
    # In no table: the driver's own name. None of these is one of the above.
    ("NVIDIA GeForce RTX 4090", 24 * GIB, "NVIDIA GeForce RTX 4090"),
    ("NVIDIA L40", 45 * GIB, "NVIDIA L40"),
    ("NVIDIA A100X", 80 * GIB, "NVIDIA A100X"),
    ("NVIDIA A1000", 8 * GIB, "NVIDIA A1000"),
    ("NVIDIA T400", 2 * GIB, "NVIDIA T400"),
    ("NVIDIA GH200 480GB", 96 * GIB, "NVIDIA GH200 480GB"),
    ("Tesla V100-SXM2-16GB", 16 * GIB, "Tesla V100-SXM2-16GB"),
]


@pytest.mark.parametrize(("driver_name", "memory_bytes", "name"), NAMES)
def test_a_card_is_called_what_people_call_it(driver_name: str, memory_bytes: int, name: str) -> None:
    """By the driver's words, and its memory where they do not say the size; else the driver's own name stays."""
    assert card_name(driver_name, memory_bytes) == name


@pytest.mark.parametrize(("driver_name", "memory_bytes", "name"), NAMES)
def test_every_card_can_be_asked_for_by_its_name(driver_name: str, memory_bytes: int, name: str) -> None:
    """In any case, and with hyphens where the driver writes spaces."""
    assert same_card(name.lower().replace(" ", "-"), name)
    assert same_card(name.removeprefix("NVIDIA ").removeprefix("Tesla "), name)
    assert not same_card("H100-MIG-1g.10gb", name)


def test_a_part_is_told_from_a_card() -> None:
    """MIG instances are named after their card and profile."""
    assert is_slice("H100-MIG-1g.10gb")
    assert not is_slice("A100-40GB")
