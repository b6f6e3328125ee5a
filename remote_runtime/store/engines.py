"""How to connect to each kind of database: SQLite in a private file, PostgreSQL by psycopg."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from kernel_bridge.errors import BadOption

BUSY_TIMEOUT_MS: Final = 10_000  # how long a writer waits for another
_CONNECT_WITHIN_S: Final = 5

# A connection that a router forgot is noticed in half a minute; a lock nobody gives back is an error, not a silence.
_POSTGRES: Final[dict[str, Any]] = {
    "connect_timeout": _CONNECT_WITHIN_S,
    "application_name": "cellburst",
    "client_encoding": "utf8",  # a cluster made under LANG=C would hand out bytes
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "options": f"-c lock_timeout={BUSY_TIMEOUT_MS} -c idle_in_transaction_session_timeout=60000",
}


def make_engine(url: str) -> Engine:
    """Make the engine of `sqlite:////path/file` or `postgresql://…`; connects to nothing yet.

    Raises BadOption for a URL of anything else, or when the driver is not installed.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if importlib.util.find_spec("psycopg") is None:
        raise BadOption("PostgreSQL wants its driver: `pip install 'cellburst[postgres]'`.")
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        connect_args=_POSTGRES,
        pool_pre_ping=True,  # a server that was restarted costs nobody an error
        pool_recycle=1800,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
    )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in ("sqlite", "postgresql", "postgresql+psycopg"):
        raise BadOption("CELLBURST_DATABASE_URL wants `sqlite:////path/file` or `postgresql+psycopg://user@host/name`.")
    return parsed


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url)
    _make_private(url.database)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


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
