"""Money is integers: micro-dollars, and rates in micro-dollars an hour."""

from __future__ import annotations

HOUR_S = 3600


def cost_microusd(rate_microusd_per_h: int, seconds: float) -> int:
    """Return what so many seconds cost, rounded half up to a whole micro-dollar."""
    return (rate_microusd_per_h * round(seconds * 1000) + HOUR_S * 500) // (HOUR_S * 1000)


def format_usd(microusd: int) -> str:
    """Write an amount as people read it: four places below ten cents, two above; `$0.0008`, `$1.25`."""
    places = 2 if abs(microusd) >= 100_000 else 4
    return f"${microusd / 1e6:.{places}f}"
