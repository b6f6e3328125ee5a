"""What tests of the store and of what stands on it share: a clock that stands still, a container, a session."""

from __future__ import annotations

from dataclasses import replace

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.sessions import Notebook, SessionSpec
from remote_runtime.billing.prices import Rates
from remote_runtime.store.rows import NewContainer

RATES = Rates(gpu_microusd_per_h=2_000_000, cpu_microusd_per_h=50_000, memory_microusd_per_h=8_000, table="t of 2026")
WANTED = NewContainer(
    provider="fake", card="A100", card_count=1, simulated=True, cpu=1.0, memory_bytes=4 << 30, rates=RATES, place="here"
)


class StillClock:
    """A clock that stands where it was put."""

    def __init__(self, time_s: float = 1_000.0) -> None:
        self.time_s = time_s

    def now(self) -> float:
        return self.time_s

    def follow(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.time_s += seconds


def spec(kernel: str = "k1", **changes: object) -> SessionSpec:
    """Return what a notebook asks for."""
    usual = SessionSpec(notebook=Notebook(kernel_id=kernel), image=ImageRecipe(python="3.11"), gpu="A100")
    return replace(usual, **changes)  # type: ignore[arg-type]
