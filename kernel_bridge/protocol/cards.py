"""What cards are called: the names people ask for, from the names that drivers give. Pure.

A driver says `NVIDIA A100-SXM4-80GB` or `NVIDIA A100 80GB PCIe`, people say `A100-80GB`. A card whose name is not in
the table keeps the driver's, and is asked for by it: `%%gpu NVIDIA-GeForce-RTX-4090`, or shorter `GeForce-RTX-4090`.
"""

from __future__ import annotations

import re
from typing import Final

_MAKERS: Final = re.compile(r"(?:NVIDIA|Tesla|Quadro)[ -]+", re.IGNORECASE)
_SLICE: Final = re.compile(r"(?P<whole>.+?)[ -]MIG[ -](?P<profile>\S+)\Z")
_GIB: Final = 1 << 30
# The first words of a driver's name, less its maker's, and what people call it. No name here begins another one.
_NAMES: Final = tuple(
    (re.compile(rf"{pattern}(?![A-Za-z0-9])"), name)
    for pattern, name in (
        ("T4", "T4"),
        ("L4", "L4"),
        ("L40S", "L40S"),
        ("A10G?", "A10"),
        ("A100", "A100"),
        ("H100", "H100"),
        ("H200", "H200"),
        ("B200", "B200"),
        ("B300", "B300"),
        ("RTX PRO 6000", "RTX-PRO-6000"),
    )
)
_SIZES: Final = {"A100": (40, 80)}  # in GB: cards of one name that people tell apart by their memory


def card_name(driver_name: str, memory_bytes: int = 0) -> str:
    """Return what people call a card: `H100`, `A100-80GB`, `H100-MIG-1g.10gb`; the driver's own name if nobody does."""
    driver_name = driver_name.strip()
    if part := _SLICE.match(driver_name):
        return f"{card_name(part['whole'])}-MIG-{part['profile']}"
    bare = _MAKERS.sub("", driver_name, count=1)
    for pattern, name in _NAMES:
        if pattern.match(bare):
            return name + _size(name, bare, memory_bytes)
    return driver_name


def same_card(wanted: str, card: str) -> bool:
    """Tell whether a request names this very card: in any case, with hyphens for spaces, with or without the maker."""
    asked = _folded(wanted)
    return asked in (_folded(card), _folded(_MAKERS.sub("", card, count=1)))


def is_slice(card: str) -> bool:
    """Tell whether this is a part of a card (MIG), which nobody gets who did not ask for one."""
    return "-MIG-" in card


def _size(name: str, bare: str, memory_bytes: int) -> str:
    """Return the size that belongs to a name: as the driver writes it, else the nearest to the memory there is."""
    if name not in _SIZES:
        return ""
    if written := re.search(r"(\d+) ?GB", bare):
        return f"-{written[1]}GB"
    if not memory_bytes:
        return ""
    return f"-{min(_SIZES[name], key=lambda size_gb: abs(size_gb - memory_bytes / _GIB))}GB"


def _folded(name: str) -> str:
    return re.sub(r"[ _]+", "-", name.strip()).lower()
