"""What a session asks for: cards by name, cores and memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kernel_bridge.errors import BadOption

# The names Modal's users know; an operator's inventory may hold others, which are matched as written.
CARDS: Final = (
    "T4",
    "L4",
    "A10",
    "L40S",
    "A100",
    "A100-40GB",
    "A100-80GB",
    "RTX-PRO-6000",
    "H100",
    "H200",
    "B200",
    "B300",
)
ANY: Final = "any"
CPU: Final = "cpu"
MAX_CARDS: Final = 8

# With spaces only as a driver writes it, maker first (between quotes, in a cell's first line).
_CARD = re.compile(r"(?:[A-Za-z][A-Za-z0-9.-]{0,63}|(?:NVIDIA|Tesla|Quadro) [A-Za-z0-9 .-]{1,56})\Z", re.IGNORECASE)
_ALIASES = {"a10g": "A10"}
_COUNT = re.compile(r"[0-9]{1,3}\Z")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([KMGT]?)(?:i?B)?\Z", re.ASCII | re.IGNORECASE)
_NUMBER = r"(\d{1,12}(?:\.\d{1,12})?)"
_DURATION = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s?)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class CardChoice:
    """One acceptable answer: so many cards of one name."""

    card: str  # a name of CARDS, or `any`
    count: int = 1

    def __str__(self) -> str:
        return self.card if self.count == 1 else f"{self.card}:{self.count}"


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """Alternatives in the order they are wanted; none at all means a session on the CPU."""

    choices: tuple[CardChoice, ...] = ()

    def __str__(self) -> str:
        return ",".join(map(str, self.choices)) or CPU


def parse_gpu(text: str) -> GpuRequest:
    """Read `A100`, `H100:8`, `H100,A100`, `any` or `cpu`; raises BadOption saying what to write."""
    if text.strip().lower() in {CPU, "none"}:
        return GpuRequest()
    return GpuRequest(tuple(_choice(part.strip(), text) for part in text.split(",")))


def is_gpu_spec(word: str) -> bool:
    """Tell whether a word is in the card grammar with names we know (it decides how `%gpu WORD rest` is read)."""
    try:
        request = parse_gpu(word)
    except BadOption:
        return False
    return all(choice.card in (*CARDS, ANY) for choice in request.choices)


def parse_size(text: str) -> int:
    """Read `16G`, `512MiB` or plain bytes, as bytes (powers of 1024); raises BadOption."""
    match = _SIZE.match(text.strip())
    if not match:
        raise BadOption(f"`{text}` is not a size: write for example `16G` or `512M`.")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def show_size(size_bytes: int) -> str:
    """Write bytes for people: `21.2 GiB`, `512 MiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= factor:
            number = size_bytes / factor
            return f"{number:.1f} {unit}" if unit == "GiB" else f"{number:.0f} {unit}"
    return f"{size_bytes} bytes"


def write_size(size_bytes: int) -> str:
    """Write bytes as `parse_size` reads them back: `16G`, `512M`."""
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


def parse_duration(text: str) -> float:
    """Read `30m`, `2h`, `1h30m`, `90s` or plain seconds, as seconds; raises BadOption."""
    match = _DURATION.match(text.strip())
    if not match or not any(match.groups()):
        raise BadOption(f"`{text}` is not a length of time: write for example `30m`, `2h` or `90s`.")
    return sum(float(part or 0) * unit for part, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))


def _choice(part: str, whole: str) -> CardChoice:
    name, _, count = part.partition(":")
    if not _CARD.match(name) or (count and not _COUNT.match(count)):
        raise BadOption(f"`{whole}` names no card: write for example `A100`, `H100:8`, `H100,A100`, `any` or `cpu`.")
    if not 1 <= int(count or 1) <= MAX_CARDS:
        raise BadOption(f"`{part}`: one container takes 1 to {MAX_CARDS} cards.")
    known = {card.lower(): card for card in (*CARDS, ANY)} | _ALIASES
    return CardChoice(known.get(name.lower(), name), int(count or 1))
