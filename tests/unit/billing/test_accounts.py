"""Accounts: what ended is billed once, what runs is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_bridge.protocol.images import ImageRecipe
from kernel_bridge.protocol.sessions import Notebook, SessionSpec
from remote_runtime.billing.accounts import Accounts
from remote_runtime.billing.prices import Rates
from remote_runtime.store import Store, sqlite_url
from remote_runtime.store.rows import CellStatus, ContainerRow, NewContainer, StartedCell

WANTED = NewContainer(
    provider="fake", card="A100", card_count=1, simulated=True, cpu=0.0, memory_bytes=0,
    rates=Rates(gpu_microusd_per_h=3_600_000, table="t"), place="here",
)  # fmt: skip


class Clock:
    """A clock that stands where it was put."""

    time_s = 100.0

    def now(self) -> float:
        return self.time_s

    def monotonic(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.time_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store.open(sqlite_url(tmp_path / "s.sqlite3"), clock, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def container(store: Store) -> ContainerRow:
    """A container that started at 100 and ran a cell from 101 to 103."""
    spec = SessionSpec(notebook=Notebook(kernel_id="k"), image=ImageRecipe())
    made = store.containers.create(store.sessions.open(spec, "me").id, WANTED)
    store.containers.set_handle(made.id, {}, made.fence, 100.0)
    cell = StartedCell(
        id="c", session_id=made.session_id, container_id=made.id, code_digest="", submitted_at_s=101, started_at_s=101
    )
    store.cells.started(cell)
    store.cells.ended("c", ended_at_s=103.0, status=CellStatus.OK)
    return store.containers.get(made.id)


def test_a_running_container_is_told_but_not_written(store: Store, clock: Clock, container: ContainerRow) -> None:
    """Its cost grows with time and the ledger stays empty."""
    accounts = Accounts(store, clock)
    clock.time_s = 110.0
    assert accounts.settle(container.id) == 0
    assert accounts.spent_microusd(container.session_id) == 10_000
    assert {(entry.use, entry.seconds) for entry in accounts.running()} == {("active", 2.0), ("idle", 8.0)}
    assert store.ledger.entries() == ()


def test_an_ended_container_is_billed_once(store: Store, clock: Clock, container: ContainerRow) -> None:
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


def test_a_container_that_never_started_costs_nothing(store: Store, clock: Clock) -> None:
    """Building an image or failing to start is not billed."""
    spec = SessionSpec(notebook=Notebook(kernel_id="k"), image=ImageRecipe())
    made = store.containers.create(store.sessions.open(spec, "me").id, WANTED)
    store.containers.ended(made.id, 150.0, "did not start")
    assert Accounts(store, clock).settle(made.id) == 0
    assert store.containers.unbilled() == ()
