"""Which containers should go."""

from __future__ import annotations

from typing import Any

import pytest

from remote_runtime.scheduler.idle import Fate, Seen, longest_idle, verdicts

NOW_S = 10_000.0
ORPHAN_AFTER_S = 600.0


def seen(name: str = "c", **facts: Any) -> Seen:
    facts = {"idle_since_s": NOW_S, "idle_after_s": 300.0} | facts
    return Seen(container_id=name, session_id=f"s-{name}", **facts)


@pytest.mark.parametrize(
    ("facts", "fate"),
    [
        ({"idle_since_s": NOW_S - 299}, None),
        ({"idle_since_s": NOW_S - 300}, Fate.HIBERNATE),
        ({"idle_since_s": NOW_S - 300, "client_gone_since_s": None}, Fate.HIBERNATE),
        ({"idle_since_s": NOW_S - 300, "pinned_until_s": NOW_S + 1}, None),
        ({"idle_since_s": NOW_S - 300, "pinned_until_s": NOW_S}, Fate.HIBERNATE),
        ({"idle_since_s": None}, None),
        ({"idle_since_s": None, "client_gone_since_s": NOW_S - 599}, None),
        ({"idle_since_s": None, "client_gone_since_s": NOW_S - 600}, Fate.HIBERNATE),
        ({"idle_since_s": NOW_S, "client_gone_since_s": NOW_S - 600}, None),
        ({"idle_since_s": NOW_S - 300, "client_gone_since_s": NOW_S - 599, "undelivered": True}, None),
        ({"idle_since_s": NOW_S - 300, "client_gone_since_s": NOW_S - 600, "undelivered": True}, Fate.HIBERNATE),
        ({"idle_since_s": NOW_S - 299, "client_gone_since_s": NOW_S - 600, "undelivered": True}, None),
        ({"idle_since_s": NOW_S - 300, "client_gone_since_s": NOW_S - 599}, Fate.HIBERNATE),
        ({"idle_since_s": NOW_S - 300, "undelivered": True}, Fate.HIBERNATE),
        ({"client_gone_since_s": NOW_S, "undelivered": True, "kernel_ended": True}, Fate.CLOSE),
        ({"client_gone_since_s": NOW_S, "kernel_ended": True}, Fate.CLOSE),
        ({"idle_since_s": None, "client_gone_since_s": NOW_S, "kernel_ended": True}, Fate.CLOSE),
        ({"client_gone_since_s": NOW_S, "kernel_ended": True, "named": True}, Fate.HIBERNATE),
        ({"client_gone_since_s": NOW_S, "kernel_ended": True, "named": True, "pinned_until_s": NOW_S + 1}, None),
        ({"client_gone_since_s": NOW_S, "kernel_ended": True, "pinned_until_s": NOW_S + 1}, Fate.CLOSE),
        ({"client_gone_since_s": None, "kernel_ended": True}, None),
    ],
)
def test_a_container_goes_when_its_time_has_come(facts: dict[str, Any], fate: Fate | None) -> None:
    """Idle is when no cell runs, never that a tab is open; a busy orphan and kept results have longer; a pin holds."""
    decided = verdicts([seen(**facts)], NOW_S, ORPHAN_AFTER_S)
    assert [one.fate for one in decided] == ([] if fate is None else [fate])


def test_the_longest_idle_goes_first() -> None:
    """The order of the verdicts is the order of the waiting."""
    decided = verdicts([seen("young", idle_since_s=NOW_S - 301), seen("old", idle_since_s=NOW_S - 900)], NOW_S, 600)
    assert [one.container_id for one in decided] == ["old", "young"]


def test_room_is_made_by_the_longest_idle() -> None:
    """Neither one that works, nor one that is pinned, nor one that keeps results for an absent notebook makes room."""
    busy, pinned = seen("busy", idle_since_s=None), seen("pinned", idle_since_s=0.0, pinned_until_s=NOW_S + 1)
    young, old = seen("young", idle_since_s=NOW_S - 1), seen("old", idle_since_s=NOW_S - 2)
    keeps = seen("keeps", idle_since_s=0.0, client_gone_since_s=NOW_S - 599, undelivered=True)
    assert longest_idle([busy, pinned, keeps, young, old], NOW_S, ORPHAN_AFTER_S) == old
    assert longest_idle([busy, pinned, keeps], NOW_S, ORPHAN_AFTER_S) is None
    assert longest_idle([keeps], NOW_S + 1, ORPHAN_AFTER_S) == keeps
