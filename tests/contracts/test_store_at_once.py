"""Many hands on one store, on SQLite and on PostgreSQL: nothing is done twice, nothing is lost, the sums are right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from kernel_bridge.errors import Conflict, StoreUnavailable
from kernel_bridge.protocol.sessions import ContainerState
from remote_runtime.billing.accounts import Accounts
from remote_runtime.store import Store
from remote_runtime.store.database import SCHEMA, Database
from remote_runtime.store.rows import CellStatus, EndedCell, StartedCell
from tests.stores import WANTED, StillClock, spec

T = TypeVar("T")
HANDS = 8


@pytest.fixture
def other(store_url: str, clock: StillClock, tmp_path: Path, store: Store) -> Iterator[Store]:
    """A second process' view of the same database: it shares no lock and no thread with the first."""
    opened = Store.open(store_url, clock, tmp_path / "other")
    yield opened
    opened.close()


def at_once(work: Callable[[int], T], hands: int = HANDS) -> list[T]:
    """Do it from many threads that begin together."""
    begin = threading.Barrier(hands)

    def one(number: int) -> T:
        begin.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(hands) as pool:
        return list(pool.map(one, range(hands)))


def container(store: Store, kernel: str = "k1") -> tuple[str, str]:
    """Make a session and a container that started at 1000."""
    session = store.sessions.open(spec(kernel), "me")
    made = store.containers.create(session.id, WANTED)
    store.containers.set_handle(made.id, {}, made.fence, 1_000.0)
    return session.id, made.id


def test_one_of_many_claims_a_container(store: Store, other: Store, clock: StillClock) -> None:
    """Whoever comes first has the lease and the next fence; the others have nothing."""
    _, id_ = container(store)
    for fence in (2, 3, 4):
        clock.time_s += 31.0
        claimed = at_once(lambda number: (store, other)[number % 2].containers.claim(id_))
        assert [row.fence for row in claimed if row is not None] == [fence]


def test_one_of_many_ends_a_container(store: Store, other: Store) -> None:
    """Its end is written once and stays as it was written."""
    _, id_ = container(store)
    ends = at_once(lambda number: (store, other)[number % 2].containers.ended(id_, 2_000.0 + number, f"by {number}"))
    assert sorted(ends) == [False] * (HANDS - 1) + [True]
    row = store.containers.get(id_)
    assert (row.ended_at_s, row.cause) == (2_000.0 + ends.index(True), f"by {ends.index(True)}")


def test_no_layer_is_lost(store: Store, other: Store) -> None:
    """Layers that are added at the same moment are all there afterwards, each once."""
    session = store.sessions.open(spec(), "me")
    at_once(lambda number: (store, other)[number % 2].sessions.append_layer(session.id, f"/layers/{number % 5}"))
    assert sorted(store.sessions.get(session.id).layers) == [f"/layers/{number}" for number in range(5)]


def test_opening_and_closing_at_once_leaves_one_standing(store: Store, other: Store) -> None:
    """A session that is closed while others ask for it is opened anew, once."""
    first = store.sessions.open(spec(), "me")

    def hand(number: int) -> str:
        if number == 0:
            return store.sessions.set_state(first.id, type(first.state).CLOSED).id
        return (store, other)[number % 2].sessions.open(spec(), "me").id

    at_once(hand)
    standing = store.sessions.list("me")
    assert len(standing) <= 1 and first.id not in {row.id for row in standing}


def test_the_bill_is_right_however_many_write_it(store: Store, other: Store, clock: StillClock) -> None:
    """Cells come and go in ten containers, all is settled from everywhere at once: each second is billed, once."""
    made = [container(store, f"k{number}") for number in range(10)]

    def live(number: int) -> None:
        mine = (store, other)[number % 2]
        for place, (session_id, id_) in enumerate(made):
            cell = f"c{number}-{place}"
            begin = 1_000.0 + 10 * number
            started = StartedCell(
                id=cell, session_id=session_id, container_id=id_, code_digest="d", submitted_at_s=begin,
                started_at_s=begin,
            )  # fmt: skip
            mine.cells.record([started], [])
            mine.cells.record([], [EndedCell(id=cell, container_id=id_, ended_at_s=begin + 5, status=CellStatus.OK)])

    def settle(number: int) -> int:
        mine = (store, other)[number % 2]
        for _, id_ in made:
            mine.containers.ended(id_, 1_100.0, "idle", ContainerState.STOPPED)
        return Accounts(mine, clock).settle_all()

    at_once(live)
    clock.time_s = 1_200.0
    written = at_once(settle)
    lines = store.ledger.entries()
    assert sum(written) == len(lines) == 10 * 6  # card, cores and memory; active and idle
    seconds = {use: sum(line.seconds for line in lines if line.use == use) for use in ("active", "idle")}
    assert seconds == {"active": 10 * 3 * 5 * HANDS, "idle": 10 * 3 * (100 - 5 * HANDS)}
    assert store.ledger.spent_microusd() == sum(line.cost_microusd for line in lines)
    assert store.containers.unbilled() == ()


def test_two_that_start_at_once_make_one_schema(store_url: str) -> None:
    """Of several processes that find an empty database, one makes the tables and the others wait for it."""

    def start(number: int) -> int:
        database = Database.connect(store_url)
        try:
            return database.migrate(float(number))
        finally:
            database.close()

    assert at_once(start, 4) == [SCHEMA] * 4


def test_one_control_plane_has_the_seat(store: Store, other: Store, clock: StillClock) -> None:
    """A second one is refused and told where the first is, until that has left."""
    store.seat.take("one", "host a")
    with pytest.raises(Conflict, match="host a uses this database"):
        other.seat.take("two", "host b")
    store.seat.renew()
    store.seat.leave()
    other.seat.take("two", "host b")


def test_whoever_lost_the_seat_writes_nothing(store: Store, other: Store) -> None:
    """One that was silent too long is outranked: every write of its is refused, and it is told by whom."""
    session = store.sessions.open(spec(), "me")
    store.seat.take("one", "host a", lease_s=-1.0)
    other.seat.take("two", "host b")
    for write in (store.seat.renew, lambda: store.sessions.open(spec(idle_after_s=9.0), "me")):
        with pytest.raises(Conflict, match="host b has taken over"):
            write()
    assert other.sessions.get(session.id).spec == spec()


def test_the_same_data_directory_need_not_wait(store: Store, other: Store) -> None:
    """After a crash the next control plane of the same directory sits down at once; the dead one's writes are late."""
    store.seat.take("one", "host a")
    other.seat.take("one", "host a")
    with pytest.raises(Conflict):
        store.sessions.open(spec(), "me")


def test_text_that_a_database_cannot_keep_harms_nobody(store: Store) -> None:
    """A NUL or half a surrogate pair in what a stranger sends is replaced, and looking for it finds nothing."""
    _, id_ = container(store)
    assert store.containers.ended(id_, 2_000.0, "a\0b\ud800")
    assert store.containers.get(id_).cause.startswith("a\ufffdb")
    assert store.sessions.find_by_key("me\0", "k") is None
    asked = replace(spec(), name="x\0y")
    assert store.sessions.open(asked, "you").spec == asked


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the database and not the password."""
    monkeypatch.setattr("remote_runtime.store.database._PATIENCE_S", ())
    database = Database.connect(f"postgresql://me:hush-hush@/books?host={tmp_path}")
    with pytest.raises(StoreUnavailable, match="books on") as caught:
        database.migrate(0.0)
    assert "hush" not in str(caught.value)
    database.close()
