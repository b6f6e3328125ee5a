"""What things cost: a dated table the operator owns, in integer micro-dollars an hour."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kernel_bridge.errors import BadRequest

BUILTIN: Final = Path(__file__).with_name("prices.toml")
GIB: Final = 1 << 30
DEFAULT_CARDS: Final = {"A100": "A100-40GB"}  # the name without a size is the smaller card


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The rates one container was started at, in micro-dollars an hour of one card, core or GiB."""

    gpu_microusd_per_h: int = 0
    cpu_microusd_per_h: int = 0
    memory_microusd_per_h: int = 0
    table: str = ""  # which price table, with its date

    def total_microusd_per_h(self, card_count: int, cpu: float, memory_bytes: int) -> int:
        """Return what an hour of the whole container costs: the sum of what its ledger lines say."""
        return (
            self.gpu_microusd_per_h * card_count
            + line_rate(self.cpu_microusd_per_h, cpu)
            + line_rate(self.memory_microusd_per_h, memory_bytes / GIB)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """One price list. A card that is not in it costs nothing, and `knows` says so before anyone relies on it."""

    name: str
    dated: str  # "2026-05-25"
    cpu_microusd_per_h: int
    memory_microusd_per_h: int
    gpu_microusd_per_h: Mapping[str, int] = field(default_factory=dict)
    volume_microusd_per_gib_month: int = 0

    @property
    def label(self) -> str:
        """Return what a quote shows: `prices.toml of 2026-05-25`."""
        return f"{self.name} of {self.dated}"

    def knows(self, card: str) -> bool:
        """Tell whether this card has a price."""
        return self._entry(card) is not None

    def rates(self, card: str) -> Rates:
        """Return the rates of a container with this card, or with none for `cpu`."""
        return Rates(
            gpu_microusd_per_h=self._entry(card) or 0,
            cpu_microusd_per_h=self.cpu_microusd_per_h,
            memory_microusd_per_h=self.memory_microusd_per_h,
            table=self.label,
        )

    def volume_month_microusd(self, disk_bytes: int) -> int:
        """Return what a month of so much of a volume's disk costs."""
        return line_rate(self.volume_microusd_per_gib_month, disk_bytes / GIB)

    def _entry(self, card: str) -> int | None:
        return self.gpu_microusd_per_h.get(card, self.gpu_microusd_per_h.get(DEFAULT_CARDS.get(card, "")))


def load_prices(path: Path | None = None) -> PriceTable:
    """Read the operator's table, or ours; raises BadRequest naming the file and what is wrong in it."""
    source = path or BUILTIN
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
        return _table(source.name, data)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadRequest(f"The price table {source} cannot be read: {_reason(error)}.") from error


def line_rate(rate_microusd_per_h: int, quantity: float) -> int:
    """Return the rate of so many cards, cores or GiB, rounded half up to a whole micro-dollar an hour."""
    return math.floor(rate_microusd_per_h * quantity + 0.5)


def _table(name: str, data: Mapping[str, Any]) -> PriceTable:
    return PriceTable(
        name=name,
        dated=str(data["dated"]),
        cpu_microusd_per_h=_price(data["cpu_microusd_per_h"], "cpu_microusd_per_h"),
        memory_microusd_per_h=_price(data["memory_microusd_per_h"], "memory_microusd_per_h"),
        volume_microusd_per_gib_month=_price(
            data.get("volume_microusd_per_gib_month", 0), "volume_microusd_per_gib_month"
        ),
        gpu_microusd_per_h={card: _price(price, f"gpu.{card}") for card, price in data["gpu_microusd_per_h"].items()},
    )


def _price(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{where} wants a whole number of micro-dollars an hour, not {value!r}")
    return value


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
