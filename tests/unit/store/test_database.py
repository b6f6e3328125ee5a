"""Connecting, migrating, and what the database itself refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from kernel_bridge.errors import BadOption, RuntimeMismatch, StoreUnavailable
from remote_runtime.store import SCHEMA, sqlite_url
from remote_runtime.store.database import MIGRATIONS, Database, migration
from remote_runtime.store.schema import METADATA, VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store.sqlite3"


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """One of each kind."""
    connected = Database.connect(store_url)
    connected.migrate(1.0)
    yield connected
    connected.close()


@pytest.fixture
def sqlite(path: Path) -> Iterator[Database]:
    """The default, in a folder that is not there yet."""
    connected = Database.connect(sqlite_url(path))
    connected.migrate(1.0)
    yield connected
    connected.close()


def test_the_migrations_make_the_tables_the_queries_use(database: Database) -> None:
    """schema.py and the SQL files say the same."""
    said = {name: frozenset(table.columns.keys()) for name, table in METADATA.tables.items()}
    assert database.tables() == said


def test_every_step_has_one_file(database: Database) -> None:
    """The last file's number is the schema's."""
    numbers = sorted(int(path.name[:4]) for path in MIGRATIONS.glob("*.sql"))
    assert numbers == list(range(1, SCHEMA + 1))
    assert all(migration(number) for number in numbers)


def test_migrating_again_does_nothing(database: Database) -> None:
    """A second start finds the schema as it should be."""
    assert database.migrate(2.0) == SCHEMA == database.version()


def test_a_newer_store_is_left_alone(database: Database) -> None:
    """A release that is too old says so instead of guessing."""
    with database.writing() as connection:
        connection.execute(insert(VERSION).values(version=SCHEMA + 1, applied_at_s=1.0))
    with pytest.raises(RuntimeMismatch, match="upgrade cellburst"):
        database.migrate(2.0)


def test_the_file_is_private(sqlite: Database, path: Path) -> None:
    """Nobody else reads the database or what stands beside it."""
    assert path.parent.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in path.parent.iterdir())


def test_sqlite_is_set_up_for_several_at_once(sqlite: Database) -> None:
    """Write-ahead log, foreign keys and patience are on for every connection."""
    with sqlite.reading() as connection:
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")]
    assert values == ["wal", 1]


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    """What was written before the exception is rolled back."""
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(insert(VERSION).values(version=99, applied_at_s=1.0))
        raise ZeroDivisionError
    assert database.version() == SCHEMA


def test_rows_must_belong_to_something(database: Database) -> None:
    """A cell of a session nobody knows is refused."""
    columns = "id, session_id, container_id, status, code_digest, submitted_at_s, started_at_s, last_seq"
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(text(f"INSERT INTO cells ({columns}) VALUES ('c', 's', 'k', 'ok', 'd', 0, 0, 0)"))


@pytest.mark.parametrize("statement", ["UPDATE ledger SET cost_microusd = 0", "DELETE FROM ledger"])
def test_the_ledger_cannot_be_changed_by_hand(database: Database, statement: str) -> None:
    """The database refuses what the code has no method for."""
    columns = "owner, quantity, rate_microusd_per_h, started_at_s, ended_at_s, duration_ms, cost_microusd, place"
    with database.writing() as connection:
        connection.execute(
            text(
                f"INSERT INTO ledger (container_id, resource, use, session_id, {columns}, simulated, price_table) "
                "VALUES ('c', 'cpu', 'idle', 's', 'o', 1, 1, 0, 1, 1, 1, 'p', false, 't')"
            )
        )
    with pytest.raises(DatabaseError, match="append-only"), database.writing() as connection:
        connection.execute(text(statement))


def test_not_even_at_once(database: Database) -> None:
    """PostgreSQL's TRUNCATE is a deletion, too."""
    if database.engine.dialect.name == "postgresql":
        with pytest.raises(DatabaseError, match="append-only"), database.writing() as connection:
            connection.execute(text("TRUNCATE ledger"))


@pytest.mark.parametrize("url", ["mysql://me@host/name", "postgresql+asyncpg://host/name", "store.sqlite3", ""])
def test_another_kind_of_database_is_refused(url: str) -> None:
    """The error shows what an address looks like."""
    with pytest.raises(BadOption, match="CELLBURST_DATABASE_URL"):
        Database.connect(url)


def test_a_locked_database_is_one_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process writes and does not end: it is waited for once, then told."""
    monkeypatch.setattr("remote_runtime.store.engines.BUSY_TIMEOUT_MS", 20)
    mine, other = Database.connect(sqlite_url(path)), Database.connect(sqlite_url(path))
    mine.migrate(1.0)
    with other.writing():
        with pytest.raises(StoreUnavailable, match="database is locked") as caught, mine.writing():
            pass
        assert type(caught.value) is StoreUnavailable
    mine.close()
    other.close()
