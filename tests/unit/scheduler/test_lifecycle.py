"""The states of a container."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_bridge.protocol.sessions import ContainerState
from remote_runtime.scheduler.lifecycle import MOVES, IllegalMove, move

STATES = st.sampled_from(ContainerState)


@pytest.mark.parametrize("state", ContainerState)
def test_every_state_is_in_the_table(state: ContainerState) -> None:
    """No state is without an answer, and each but the last two can end."""
    ends = {ContainerState.STOPPED, ContainerState.FAILED}
    assert state in ends or ends <= MOVES[state]


@given(STATES, STATES)
def test_a_move_is_in_the_table_or_refused(now: ContainerState, to: ContainerState) -> None:
    """There is no third way, but for a step onto itself and out of an end, which are none."""
    if to is now or not MOVES[now]:
        assert move(now, to) is now
    elif to in MOVES[now]:
        assert move(now, to) is to
    else:
        with pytest.raises(IllegalMove):
            move(now, to)


@given(st.lists(STATES))
def test_what_has_ended_stays_as_it_ended(asked: list[ContainerState]) -> None:
    """A late hand changes nothing."""
    for to in asked:
        assert move(ContainerState.FAILED, to) is ContainerState.FAILED
