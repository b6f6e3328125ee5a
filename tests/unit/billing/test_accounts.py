"""Accounts: what ended is billed once, what runs is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remote_runtime.billing.accounts import Accounts
from remote_runtime.billing.prices import Rates
from remote_runtime.store import Store
from remote_runtime.store.rows import CellStatus, ContainerRow, EndedCell, StartedCell
from tests import stores
from tests.stores import StillClock, spec

WANTED = replace(stores.WANTED, cpu=0.0, memory_bytes=0, rates=Rates(gpu_microusd_per_h=3_600_000, table="t"))


@pytest.fixture
def clock() -> StillClock:
    """The test's times are seconds after 100."""
    return StillClock(100.0)


@pytest.fixture
def container(store: Store) -> ContainerRow:
    """A container that started at 100 and ran a cell from 101 to 103."""
    made = store.containers.create(store.sessions.open(spec(), "me").id, WANTED)
    store.containers.set_handle(made.id, {}, made.fence, 100.0)
    cell = StartedCell(
        id="c", session_id=made.session_id, container_id=made.id, code_digest="", submitted_at_s=101, started_at_s=101
    )
    store.cells.started(cell)
    store.cells.ended(EndedCell(id="c", container_id=made.id, ended_at_s=103.0, status=CellStatus.OK))
    return store.containers.get(made.id)


def test_a_running_container_is_told_but_not_written(store: Store, clock: StillClock, container: ContainerRow) -> None:
    """Its cost grows with time and the ledger stays empty."""
    accounts = Accounts(store, clock)
    clock.time_s = 110.0
    assert accounts.settle(container.id) == 0
    assert accounts.spent_microusd(container.session_id) == 10_000
    assert {(entry.use, entry.seconds) for entry in accounts.running()} == {("active", 2.0), ("idle", 8.0)}
    assert store.ledger.entries() == ()


def test_an_ended_container_is_billed_once(store: Store, clock: StillClock, container: ContainerRow) -> None:
    """Before settling, after it, and after settling again the session has cost the same."""
    accounts = Accounts(store, clock)
    store.containers.ended(container.id, 106.0, "idle")
    clock.time_s = 200.0
    assert accounts.spent_microusd(container.session_id) == 6_000
    assert accounts.settle_all() == 2
    assert (accounts.settle_all(), accounts.settle(container.id)) == (0, 0)
    assert accounts.spent_microusd(container.session_id) == 6_000
    assert accounts.running() == ()
    lines = store.ledger.entries(container.session_id)
    assert [(line.use, line.duration_ms, line.owner, line.simulated) for line in lines] == [
        ("active", 2_000, "me", True),
        ("idle", 4_000, "me", True),
    ]


def test_a_container_that_never_started_costs_nothing(store: Store, clock: StillClock) -> None:
    """Building an image or failing to start is not billed."""
    made = store.containers.create(store.sessions.open(spec(), "me").id, WANTED)
    store.containers.ended(made.id, 150.0, "did not start")
    assert Accounts(store, clock).settle(made.id) == 0
    assert store.containers.unbilled() == ()
