"""How a container ended, from what its supervisor wrote down and what its engine says: values in, values out."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from kernel_bridge.protocol.resources import show_size
from remote_runtime.providers.base import Phase, Status

_SIGNALLED: Final = 128  # an exit code above it is a signal's number
_LOST: Final = 255  # what an engine says that was not there when it ended


def ended(inspected: Mapping[str, Any], said: Mapping[str, Any], *, asked: bool = True) -> Status:
    """Return the status of a container that does not run any more; `asked`: it was we who ended it.

    Its supervisor knows why. When it ended, and if its memory was out, the engine knows: cells cannot make that up.
    """
    state = inspected.get("State", {})
    cause = str(said.get("cause", "")) or _cause(state, inspected.get("HostConfig", {}))
    if cause == "stopped" and not asked:
        cause = "the container engine stopped it, or somebody by means of it"
    at_s = finished_at_s(str(state.get("FinishedAt", ""))) or _number(said.get("ended_at_s"))
    return Status(phase=Phase.GONE, cause=cause, ended_at_s=at_s, details=dict(said))


def without_engine(said: Mapping[str, Any], why: str) -> Status:
    """Return the status of a container that is gone, where there is nobody to say more than its supervisor did."""
    cause = str(said.get("cause", "")) or why
    return Status(phase=Phase.GONE, cause=cause, ended_at_s=_number(said.get("ended_at_s")), details=dict(said))


def finished_at_s(text: str) -> float | None:
    """Read an engine's time; None for none, which it writes as the year one."""
    digits, _, zone = text.rstrip("Z").partition("+")
    whole, _, fraction = digits.partition(".")
    zone = zone or "00:00"
    try:
        when = datetime.fromisoformat(f"{whole}.{(fraction + '000000')[:6]}+{zone}")
    except ValueError:
        return None
    return when.timestamp() if when.year > 1 else None


def read_said(path: Path) -> dict[str, Any]:
    """Return what a file of ours says; nothing where there is none."""
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _cause(state: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    if state.get("OOMKilled"):
        limit = int(limits.get("Memory") or 0)
        return f"the container ran out of memory: limit {show_size(limit)}" if limit else "the host ran out of memory"
    if error := str(state.get("Error", "")).strip():
        return f"the container engine ended it: {error}"
    code = int(state.get("ExitCode") or 0)
    if code == _LOST:
        return "it was lost: the container engine was not running when it ended"
    if code > _SIGNALLED and code - _SIGNALLED in {*signal.Signals}:
        return f"the container was ended by {signal.Signals(code - _SIGNALLED).name}"
    return f"the container exited with code {code}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
