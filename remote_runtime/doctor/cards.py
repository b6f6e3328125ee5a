"""Cards: those of the driver, and those that were declared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel_bridge.protocol.resources import GpuRequest
from remote_runtime.doctor.findings import Finding, Grade, Group
from remote_runtime.providers import nvml
from remote_runtime.providers.nvml import Survey

_DRIVER: Final = Path("/proc/driver/nvidia/version")
_NONE: Final = Survey()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Which cards were seen, and which were declared."""

    seen: Survey = _NONE
    declared: GpuRequest = GpuRequest()


def probe(declared: GpuRequest) -> CardFacts:
    """Ask NVML, as providers do."""
    return CardFacts(seen=nvml.survey(), declared=declared)


def judge(facts: CardFacts) -> tuple[Finding, ...]:
    """Say on what cells will run."""
    declared = f"; simulated: {facts.declared}" if facts.declared.choices else ""
    unwell = [card for card in facts.seen.cards if card.problem]
    if names := Counter(card.name for card in facts.seen.cards if not card.problem):
        cards = ", ".join(f"{count} x {name}" for name, count in sorted(names.items()))
        found = f"{cards} (driver {facts.seen.driver}){declared}"
        if not unwell:
            return (
                _finding(Grade.OK, found, "Cells can have these cards: whole ones, that nobody else has meanwhile."),
            )
        found += "".join(f"; {card.uuid}: {card.problem}" for card in unwell)
        mend = "See `nvidia-smi` and `dmesg | grep -i xid`; a card that is lost comes back when the host restarts."
        return (
            _finding(
                Grade.WEAKER, found, "Cells can have the others; a card that does not answer is given to nobody.", mend
            ),
        )
    problem = facts.seen.problem or "no card answers"
    if facts.declared.choices:
        found = f"simulated: {facts.declared}; {problem}"
        means = "Cells will run on the processor, and every place that shows these cards says so."
        return (_finding(Grade.OK, found, means),)
    means = "Cells will run on the processor with `%%gpu cpu`; a card that is asked for is refused."
    mend = "Install the NVIDIA driver where there is a card; to try without: `%gpu_config simulate=A100:1`."
    if _DRIVER.exists():
        mend = "Start the driver: `sudo nvidia-modprobe -u`, then `nvidia-smi` has to answer."
    return (_finding(Grade.MISSING, problem, means, mend),)


def _finding(grade: Grade, found: str, means: str, mend: str = "") -> Finding:
    return Finding(group=Group.EXTRAS, subject="cards", grade=grade, found=found, means=means, mend=mend)
