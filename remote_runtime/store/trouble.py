"""What a database's error means: it is away, it wants the transaction again, or something is wrong with us."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kernel_bridge.errors import StoreUnavailable

# Serialisation failure, deadlock: rolled back at once, and good the next time.
_AGAIN: Final = frozenset({"40001", "40P01"})
_LOCKED: Final = frozenset({"55P03"})  # a lock was waited for as long as anyone waits
# Shutting down, crashed, starting up, too many connections, the disk is full; class 08 is the connection itself.
_AWAY: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "53300", "53100", "25P03"})
_SQLITE_BUSY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")
_SQLITE_SICK: Final = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")


class TryAgain(StoreUnavailable):
    """The database does not answer, and nothing of the transaction was written: it may be done again."""


def unavailable(error: SQLAlchemyError, where: str, *, undone: bool) -> StoreUnavailable | None:
    """Return what to raise for an error that is not ours; None for one that is.

    `undone`: the error came before the commit, so the transaction has changed nothing.
    """
    soon = is_away(error) or _state(error) in _AGAIN
    if not (soon or _is_locked(error)):
        return None
    kind = TryAgain if soon and undone else StoreUnavailable
    return kind(f"The runtime's database ({where}) does not answer: {_first_line(error)}.")


def is_away(error: SQLAlchemyError) -> bool:
    """Tell whether nobody can use the database at present."""
    if not isinstance(error, DBAPIError):
        return False
    if name := str(getattr(error.orig, "sqlite_errorname", "")):
        return name.startswith(_SQLITE_SICK)
    if state := _state(error):
        return state in _AWAY or state.startswith("08")
    return error.connection_invalidated or type(error.orig).__name__ == "OperationalError"


def describe(url: URL) -> str:
    """Return where a database is, without who we are there."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or "this machine"
    return f"{url.database} on {host}{f':{url.port}' if url.port else ''}"


def _is_locked(error: SQLAlchemyError) -> bool:
    name = str(getattr(getattr(error, "orig", None), "sqlite_errorname", ""))
    return name.startswith(_SQLITE_BUSY) or _state(error) in _LOCKED or isinstance(error, PoolTimeout)


def _state(error: SQLAlchemyError) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _first_line(error: SQLAlchemyError) -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return (text.splitlines() or ["it said nothing"])[0].strip().rstrip(".")
