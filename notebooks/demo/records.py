"""What the runtime recorded: its cells, the life of its containers, the bill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.replies import CellInfo, RuntimeInfo, UsageLine
from kernel_bridge.config import ClientConfig


@dataclass(frozen=True, slots=True)
class Records:
    """The runtime's own account of some sessions."""

    runtime: RuntimeInfo
    cells: tuple[CellInfo, ...]
    lines: tuple[UsageLine, ...]
    spent_microusd: int
    price_table: str


def ask_runtime(sessions: Iterable[str]) -> Records:
    """Ask this user's own runtime about these sessions."""
    with ControlPlane(ClientConfig.load().embedded_address()) as plane:
        usage = plane.usage()
        cells = tuple(cell for session in sessions for cell in plane.cells(session))
        return Records(
            plane.runtime(), cells, (*usage.entries, *usage.running), usage.spent_microusd, usage.price_table
        )


def containers_told(records: Records) -> Iterator[str]:
    """Yield, for each container in the order of starting, how long it lived, worked and idled, and what ran in it."""
    for container, lines in by_container(records.lines):
        ran = [cell for cell in records.cells if cell.container_id == container]
        life = lines[0].ended_at_s - lines[0].started_at_s
        uses = ", ".join(f"{use} {_seconds(lines, use):.1f} s" for use in ("active", "idle"))
        cells = f"{len(ran)} cell{'s' if len(ran) != 1 else ''}"
        yield f"{container}  lived {life:5.1f} s ({uses}) and ran {cells}"


def bill(records: Records) -> Iterator[str]:
    """Yield the itemised bill and its total."""
    yield f"{'container':<22}{'resource':<12}{'use':<8}{'amount':>7}{'seconds':>10}{'$/hour each':>13}{'cost':>12}"
    for container, lines in by_container(records.lines):
        for line in sorted(lines, key=attrgetter("resource", "use")):
            yield (
                f"{container:<22}{line.resource:<12}{line.use:<8}{line.quantity:>7g}{line.duration_ms / 1000:>10.3f}"
                f"{line.rate_microusd_per_h / 1e6:>13.4f}{usd(line.cost_microusd):>12}"
            )
    yield f"{'total':<72}{usd(records.spent_microusd):>12}"


def by_container(lines: Iterable[UsageLine]) -> list[tuple[str, list[UsageLine]]]:
    """Return the lines of each container, in the order in which they started."""
    ordered = sorted(lines, key=attrgetter("started_at_s", "container_id"))
    return [(container, list(group)) for container, group in groupby(ordered, attrgetter("container_id"))]


def usd(microusd: int) -> str:
    """Write an amount to the micro-dollar."""
    return f"${microusd / 1e6:.6f}"


def _seconds(lines: Sequence[UsageLine], use: str) -> float:
    """Return the seconds of a use: each resource has the same, so the longest is it."""
    return max((line.duration_ms / 1000 for line in lines if line.use == use), default=0.0)
