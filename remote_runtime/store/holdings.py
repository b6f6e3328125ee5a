"""Who may see what is kept once for everyone under the hash of its content: blobs, and the recipes of images."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, select

from remote_runtime.store.database import Database
from remote_runtime.store.schema import HOLDINGS

BLOB: Final = "blob"
IMAGE: Final = "image"  # also the layers of packages: whoever asked for one may read the log of its build


class Holdings:
    """The table `holdings`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, owner: str, kind: str, digest: str) -> None:
        """Record that this owner has had the content in hand. Twice is success."""
        with self._database.reading() as connection:
            known = select(HOLDINGS.c.digest).where(_mine(owner, kind) & (HOLDINGS.c.digest == digest))
            if connection.execute(known).first():
                return
        with self._database.writing() as connection:
            hold(self._database, connection, owner, kind, digest)

    def digests(self, owner: str, kind: str) -> frozenset[str]:
        """Return everything of a kind that this owner has had in hand."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(HOLDINGS.c.digest).where(_mine(owner, kind))).scalars())

    def release(self, owner: str, kind: str, digest: str) -> None:
        """Forget that this owner has had the content in hand. What was never there is success."""
        with self._database.writing() as connection:
            connection.execute(delete(HOLDINGS).where(_mine(owner, kind) & (HOLDINGS.c.digest == digest)))

    def is_held(self, kind: str, digest: str) -> bool:
        """Tell whether anybody has the content in hand."""
        wanted = select(HOLDINGS.c.digest).where((HOLDINGS.c.kind == kind) & (HOLDINGS.c.digest == digest))
        with self._database.reading() as connection:
            return connection.execute(wanted).first() is not None


def hold(database: Database, connection: Connection, owner: str, kind: str, digest: str) -> None:
    """The same as `add`, within a transaction."""
    database.insert_new(connection, HOLDINGS, {"owner": owner, "kind": kind, "digest": digest})


def held(owner: str, kind: str, digest: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that this owner has had the content of a digest in hand."""
    return select(HOLDINGS.c.digest).where(_mine(owner, kind) & (HOLDINGS.c.digest == digest)).exists()


def let_go(connection: Connection, kind: str, digest: str) -> None:
    """Forget a content for everyone: it is kept no longer."""
    connection.execute(delete(HOLDINGS).where((HOLDINGS.c.kind == kind) & (HOLDINGS.c.digest == digest)))


def _mine(owner: str, kind: str) -> ColumnElement[bool]:
    return (HOLDINGS.c.owner == owner) & (HOLDINGS.c.kind == kind)
