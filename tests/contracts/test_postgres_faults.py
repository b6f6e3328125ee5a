"""PostgreSQL goes away and comes back: what was under way is done again or told, what was written stays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from kernel_bridge.errors import StoreUnavailable
from remote_runtime.store import Store
from remote_runtime.store.database import Database
from remote_runtime.store.schema import SESSIONS
from remote_runtime.store.trouble import TryAgain
from tests.postgres import Postgres, cluster
from tests.stores import StillClock, spec


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One of its own: the others are not to be disturbed."""
    with cluster() as made:
        yield made


@pytest.fixture
def kept(server: Postgres, clock: StillClock, tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(server.url(), clock, tmp_path)
    yield opened
    opened.close()


def restart(server: Postgres) -> None:
    server.stop()
    server.start()


def test_a_restarted_server_costs_nobody_an_error(kept: Store, server: Postgres) -> None:
    """Connections that died meanwhile are replaced when they are next wanted."""
    first = kept.sessions.open(spec(), "me")
    restart(server)
    assert kept.sessions.get(first.id).id == first.id
    restart(server)
    assert kept.sessions.open(spec(), "me").id == first.id


def test_who_asks_while_it_is_away_waits_for_it(kept: Store, server: Postgres) -> None:
    """A restart takes seconds; a write that comes in between is late, not lost."""
    server.stop()
    late = threading.Thread(target=lambda: kept.sessions.open(spec("late"), "me"))
    late.start()
    server.start()
    late.join(timeout=30)
    assert len(kept.sessions.list("me")) == 1


def test_a_transaction_that_broke_is_done_again(kept: Store, server: Postgres) -> None:
    """The server goes in the middle: nothing of it was written, so the store does all of it once more."""
    tries: list[int] = []

    def work() -> str:
        with kept.database.writing() as connection:
            tries.append(1)
            if len(tries) == 1:
                restart(server)
            connection.execute(select(func.count()).select_from(SESSIONS))
        return kept.sessions.open(spec(), "me").id

    assert asyncio.run(kept.run(work)) == kept.sessions.list("me")[0].id
    assert len(tries) == 2


def test_one_that_stays_away_is_one_clear_error(kept: Store, server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which database, and that nothing more is needed than that it comes back."""
    monkeypatch.setattr("remote_runtime.store.database._PATIENCE_S", (0.01,))
    server.stop()
    try:
        with pytest.raises(StoreUnavailable, match=r"store_\d+ on .* does not answer.* Try again"):
            asyncio.run(kept.run(kept.sessions.list))
    finally:
        server.start()
    assert kept.sessions.list() == ()


def test_a_deadlock_is_told_as_what_may_be_done_again(kept: Store) -> None:
    """Of two transactions that wait for each other one goes on and the other is rolled back."""
    one, two = kept.sessions.open(spec("one"), "me").id, kept.sessions.open(spec("two"), "me").id
    begin = threading.Barrier(2)
    told: list[Exception] = []

    def hold(first: str, second: str) -> None:
        try:
            with kept.database.writing() as connection:
                connection.execute(select(SESSIONS.c.id).where(SESSIONS.c.id == first).with_for_update())
                begin.wait(timeout=30)
                connection.execute(select(SESSIONS.c.id).where(SESSIONS.c.id == second).with_for_update())
        except TryAgain as error:
            told.append(error)

    threads = [threading.Thread(target=hold, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(told) == 1


def test_the_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Exception, match=r"pip install 'cellburst\[postgres\]'"):
        Database.connect("postgresql://host/name")
