"""One database: how to connect, what a transaction is, and the migrations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, RowMapping, Table, create_engine, event, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

from kernel_bridge.errors import RuntimeMismatch
from kernel_bridge.protocol.version import STORE_SCHEMA
from remote_runtime.store.schema import VERSION

SCHEMA: Final = STORE_SCHEMA
BUSY_TIMEOUT_MS: Final = 10_000
MIGRATIONS: Final = Path(__file__).with_name("migrations")

T = TypeVar("T")


class Database:
    """Connections and short transactions. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def connect(cls, url: str) -> Database:
        """Connect to `sqlite:////path/file` or `postgresql+psycopg://…`; migrates nothing yet."""
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if engine.dialect.name == "sqlite":
            _make_private(make_url(url).database)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return cls(engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection for looking; it waits for no writer."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that may write: committed at the end, rolled back on an exception."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def insert_new(self, connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless one like it is there; tell whether it is new."""
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
        return connection.execute(statement).rowcount == 1

    def insert_many(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows in one statement, leaving out those that are there."""
        if rows:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)

    def migrate(self, now_s: float) -> int:
        """Bring the schema to SCHEMA, one step a transaction, and return it; raises RuntimeMismatch if it is newer."""
        VERSION.create(self.engine, checkfirst=True)
        while (number := self.version()) < SCHEMA:
            self._step(number + 1, now_s)
        if number > SCHEMA:
            raise RuntimeMismatch(
                f"This store has schema {number}, this release knows {SCHEMA}: upgrade cellburst on this machine."
            )
        return number

    def version(self) -> int:
        """Return the number of the last step taken; 0 for an empty database."""
        with self.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(VERSION.c.version), 0))).scalar_one())

    def tables(self) -> dict[str, frozenset[str]]:
        """Return what is really there: the columns of each table."""
        found = inspect(self.engine)
        return {
            name: frozenset(column["name"] for column in found.get_columns(name)) for name in found.get_table_names()
        }

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _step(self, number: int, now_s: float) -> None:
        with self.writing() as connection:
            # Claimed first: of two processes that migrate at once, one waits here and then does nothing.
            if self.insert_new(connection, VERSION, {"version": number, "applied_at_s": now_s}):
                for statement in migration(number):
                    connection.exec_driver_sql(statement)
                for statement in GUARDS.get((number, connection.dialect.name), ()):
                    connection.exec_driver_sql(statement)


def migration(number: int) -> list[str]:
    """Return the statements of one step."""
    [path] = MIGRATIONS.glob(f"{number:04}_*.sql")
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("--"))
    return [statement for part in "\n".join(lines).split("\n\n") if (statement := part.strip())]


def row(kind: Callable[..., T], mapping: RowMapping) -> T:
    """Build the value of a row whose columns are the value's fields."""
    return kind(**mapping)


# What only one dialect can say: the ledger takes no change, not even by hand.
GUARDS: Final[Mapping[tuple[int, str], tuple[str, ...]]] = {
    (1, "sqlite"): tuple(
        f"CREATE TRIGGER ledger_no_{verb} BEFORE {verb} ON ledger "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("update", "delete")
    )
}


def _make_private(path: str | None) -> None:
    """Create the file before SQLite does, readable by its owner only."""
    if path and path != ":memory:":
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        Path(path).touch(mode=0o600, exist_ok=True)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own way locks late and fails late
    for pragma in ("journal_mode=WAL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
