"""What a session would lose if its container were let go now: asked of the container, which never waits for a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kernel_bridge.capture.handle import HandleInfo

_REFUSED: Final = "cannot travel: "  # how the reason of a handle begins whose value cannot be pickled


@dataclass(frozen=True, slots=True)
class AtStake:
    """`remote`: name -> type of what lives in the container alone; `lost`: what could not be saved, and why."""

    remote: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    busy: bool = False  # a cell runs: this is what its handles said when the cell before ended


def read_stake(answer: Mapping[str, Any], handles: Iterable[HandleInfo]) -> AtStake:
    """Read a container's `state_reply`; where it is busy, the notebook's own handles know."""
    if not answer.get("busy"):
        return AtStake(answer.get("names", {}), answer.get("lost", {}))
    known = list(handles)
    unsavable = [info for info in known if info.reason.startswith(_REFUSED)]
    return AtStake(
        {info.name: info.type for info in known},
        {info.name: info.reason.removeprefix(_REFUSED) for info in unsavable},
        busy=True,
    )
