"""The states of a container and the legal moves between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernel_bridge.errors import Conflict
from kernel_bridge.protocol.sessions import ContainerState

_S = ContainerState
_END: Final = frozenset({_S.STOPPED, _S.FAILED})

MOVES: Final[Mapping[ContainerState, frozenset[ContainerState]]] = {
    _S.PENDING: frozenset({_S.BUILDING, _S.STARTING}) | _END,
    _S.BUILDING: frozenset({_S.STARTING}) | _END,
    _S.STARTING: frozenset({_S.IDLE, _S.BUSY}) | _END,
    _S.IDLE: frozenset({_S.BUSY, _S.HIBERNATING}) | _END,
    _S.BUSY: frozenset({_S.IDLE, _S.HIBERNATING}) | _END,
    # It may go on: what runs in it was busy after all, or could not be saved and was kept.
    _S.HIBERNATING: frozenset({_S.IDLE, _S.BUSY}) | _END,
    _S.STOPPED: frozenset(),
    _S.FAILED: frozenset(),
}

READY: Final = frozenset({_S.IDLE, _S.BUSY})


class IllegalMove(Conflict):
    """A container cannot go from one state to the other."""


def move(now: ContainerState, to: ContainerState) -> ContainerState:
    """Take the step if it is legal; a container that has ended stays as it ended, and a step onto itself is none."""
    if to is now or not MOVES[now]:
        return now
    if to not in MOVES[now]:
        raise IllegalMove(f"A {now} container cannot become {to}.")
    return to
