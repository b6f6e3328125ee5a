"""One database: how to connect, what a transaction is, and the migrations."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, RowMapping, Table, func, inspect, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, SQLAlchemyError

from kernel_bridge.errors import BadRequest, RuntimeMismatch
from kernel_bridge.protocol.version import STORE_SCHEMA
from remote_runtime.store.engines import make_engine
from remote_runtime.store.schema import VERSION
from remote_runtime.store.trouble import describe, is_away, unavailable

SCHEMA: Final = STORE_SCHEMA
MIGRATIONS: Final = Path(__file__).with_name("migrations")
_MIGRATING: Final = 0x63656C6C  # the number of PostgreSQL's lock on "somebody makes the tables"
_PATIENCE_S: Final = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 2.0, 3.0)  # ten seconds: a server that is being restarted

T = TypeVar("T")


class Database:
    """Connections and short transactions. Safe to use from several threads.

    Transactions raise StoreUnavailable while the database is away: TryAgain when surely nothing was written.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.where = describe(engine.url)
        self._admitted: Callable[[Connection], None] | None = None
        self._closed = threading.Event()

    @classmethod
    def connect(cls, url: str) -> Database:
        """Connect to `sqlite:////path/file` or `postgresql://…`; migrates nothing yet. Raises BadOption."""
        return cls(make_engine(url))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection for looking; it waits for no writer."""
        try:
            with self._connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            _tell(error, self.where, undone=True)
            raise

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that may write: committed at the end, rolled back on an exception."""
        undone = True
        try:
            with self._connect().execution_options(writes=True) as connection, connection.begin():
                if self._admitted is not None:
                    self._admitted(connection)
                yield connection
                undone = False  # from here on it commits: an error says nothing of whether it did
        except SQLAlchemyError as error:
            _tell(error, self.where, undone=undone)
            raise

    def admit(self, check: Callable[[Connection], None]) -> None:
        """Have every further transaction that writes begin with this check, which may raise."""
        self._admitted = check

    def insert_new(self, connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless one like it is there; tell whether it is new."""
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
        return connection.execute(statement.returning(literal_column("1"))).first() is not None

    def insert_many(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows in one statement, leaving out those that are there."""
        if rows:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)

    def migrate(self, now_s: float) -> int:
        """Bring the schema to SCHEMA, one step a transaction, and return it; raises RuntimeMismatch if it is newer."""
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":  # else two that start at once both find no table
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
            VERSION.create(connection, checkfirst=True)
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

    def check_writable(self) -> None:
        """Take the write lock and change nothing; raises what keeps us from writing."""
        with self.writing() as connection:
            connection.execute(update(VERSION).where(VERSION.c.version < 0).values(version=VERSION.c.version))

    def close(self) -> None:
        """Close every connection."""
        self._closed.set()
        self.engine.dispose()

    def _connect(self) -> Connection:
        """Wait for a server that is just being restarted: nothing was said to it yet, so nothing is done twice."""
        for pause_s in () if _on_a_loop() else _PATIENCE_S:
            try:
                return self.engine.connect()
            except SQLAlchemyError as error:
                if not is_away(error) or self._closed.wait(pause_s):
                    break
        try:
            return self.engine.connect()
        except SQLAlchemyError as error:
            _tell(error, self.where, undone=False)  # it was waited for: not again
            raise

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
    ),
    (1, "postgresql"): (
        "CREATE FUNCTION refuse_to_change_the_ledger() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$",
        "CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_ledger()",
    ),
}


def _tell(error: SQLAlchemyError, where: str, *, undone: bool) -> None:
    """Raise what a person can do something with, if this is such an error."""
    if isinstance(error, DataError):
        raise BadRequest("A value is too large, or of a kind that the database cannot keep.") from error
    if (known := unavailable(error, where, undone=undone)) is not None:
        raise known from error


def _on_a_loop() -> bool:
    """Tell whether waiting here would keep everybody else from being served."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
