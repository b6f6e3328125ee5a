"""The text of `%gpu_status`, `%gpu_stop`, `%gpu_reset` and `%gpu_keep_warm`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from jupyter_ext.remote_session import RemoteSession, gone, lost_line, reasons
from jupyter_ext.stake import AtStake
from jupyter_ext.status import card_label, format_seconds
from kernel_bridge.capture.handle import HandleInfo, format_bytes
from kernel_bridge.client.replies import RuntimeInfo
from kernel_bridge.protocol.money import cost_microusd, format_usd
from kernel_bridge.protocol.sessions import SessionInfo


def runtime_lines(runtime: RuntimeInfo, address: str) -> list[str]:
    """Say which runtime this is and what it has."""
    kind = "this machine's own runtime" if runtime.embedded else f"runtime {address}"
    weak = f". {runtime.mend}" if runtime.mend else ""
    cards = ", ".join(
        f"{card_label(stock.card, simulated=stock.simulated)} ({stock.free} of {stock.total} free)"
        for stock in runtime.cards
    )
    return [
        f"{kind} on {runtime.place}, cellburst {runtime.version}, {runtime.isolation}{weak}",
        f"cards: {cards or 'none; `%gpu_config simulate=A100:1` declares one, `%gpu_connect URL` uses another host'}",
    ]


def no_runtime_line(sessions: Iterable[RemoteSession]) -> str:
    """Say that nothing runs, and what starts it."""
    saved = any(True for _ in sessions)
    what = "the next `%%gpu` cell starts one and wakes what was saved" if saved else "the first `%%gpu` cell starts one"
    return f"No runtime runs here: {what}."


def session_lines(info: SessionInfo, handles: Sequence[HandleInfo], lost: Mapping[str, str]) -> list[str]:
    """Say how one session stands; `lost` is what handles stand for that is gone, by name with the reason."""
    name = f" ({info.spec.name})" if info.spec.name else ""
    card = card_label(info.card, info.card_count, simulated=info.simulated) if info.card else info.spec.gpu
    rate = f"{format_usd(info.rate_microusd_per_h)}/h, " if info.rate_microusd_per_h else ""
    head = f"{info.id}{name}: {card}, {_state(info)}, {rate}{format_usd(info.spent_microusd)} so far"
    lines = [head, f"  image {info.spec.image.label}"]
    if handles:
        lines.append(f"  remote values: {', '.join(describe(handle) for handle in handles)}")
    if info.kept_names:
        lines.append(f"  kept: {_kept(info)}: {', '.join(info.kept_names)}")
    if lost:
        lines.append(f"  gone: {gone(lost)}")
    if info.unsaved:
        lines.append(f"  cannot be saved, so it stays and costs on: {info.unsaved}")
    return lines


def at_stake_lines(stake: AtStake) -> list[str]:
    """Say what a stop would lose now."""
    when = ", as of the last cell" if stake.busy else ""
    said = [f"    {reason}" for reason in reasons(stake.lost)]
    return [f"  cannot be saved{when}; lost at a stop or after the idle window:", *said] if said else []


def describe(handle: HandleInfo) -> str:
    """Name a remote value with its type and size."""
    return f"{handle.name} ({', '.join(part for part in (handle.type, handle.size_and_place) if part)})"


def stopped_lines(info: SessionInfo, handles: Sequence[HandleInfo]) -> list[str]:
    """Say what a stop kept, and which remote values could not be."""
    unknown = {handle.name for handle in handles}.difference(info.kept_names)
    lost = dict.fromkeys(unknown, "it was not saved") | info.lost
    kept = f"kept {', '.join(info.kept_names)} ({_kept(info)})" if info.kept_names else "there was nothing to keep"
    lines = [f"{info.id}: stopped; {kept}"]
    return [*lines, f"{info.id}: {lost_line(lost)}"] if lost else lines


def discarded_line(session: RemoteSession, names: Sequence[str]) -> str:
    """Say what a reset discards."""
    return f"{session.info.id}: discarded {', '.join(names)}" if names else f"{session.info.id}: nothing was only there"


def keep_warm_line(info: SessionInfo, seconds: float) -> str:
    """Say until when a container stays and what that costs at most."""
    until = time.strftime("%H:%M", time.localtime(time.time() + seconds))
    cost = format_usd(cost_microusd(info.rate_microusd_per_h, seconds))
    card = card_label(info.card or info.spec.gpu, info.card_count, simulated=info.simulated)
    rate = format_usd(info.rate_microusd_per_h)
    return f"{info.id}: {card} stays warm until {until}; that costs up to {cost} ({rate}/h)"


def _kept(info: SessionInfo) -> str:
    until = time.strftime("%b %d %H:%M", time.localtime(info.kept_until_s)) if info.kept_until_s else ""
    return f"{format_bytes(info.kept_bytes)}{f' until {until}' if until else ''}"


def _state(info: SessionInfo) -> str:
    if info.state != "open":
        return f"{info.state}"
    if info.idle_since_s is not None:
        frozen = ", frozen" if info.frozen else ""
        return f"idle for {format_seconds(max(time.time() - info.idle_since_s, 0.0))}{frozen}"
    return str(info.container_state or "no container")
