"""The append-only ledger and its sums; no update and no delete exist."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, func, select, update

from remote_runtime.store.database import Database, row
from remote_runtime.store.rows import LedgerEntry
from remote_runtime.store.schema import CONTAINERS, LEDGER


class Ledger:
    """The table `ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self, container_id: str, entries: Iterable[LedgerEntry]) -> int:
        """Write a container's lines and mark it billed, in one transaction; return how many lines were new.

        Closing a container again writes nothing, whatever the entries then say.
        """
        with self._database.writing() as connection:
            billed = select(CONTAINERS.c.billed).where(CONTAINERS.c.id == container_id)
            # Held to the end: of two who close at once, the second finds it billed.
            if connection.execute(billed.with_for_update()).scalar_one_or_none():
                return 0
            new = sum(self._database.insert_new(connection, LEDGER, asdict(entry)) for entry in entries)
            connection.execute(update(CONTAINERS).where(CONTAINERS.c.id == container_id).values(billed=True))
            return new

    def entries(
        self, session_id: str | None = None, since_s: float = 0.0, owner: str | None = None
    ) -> tuple[LedgerEntry, ...]:
        """Return lines of containers that ended at or after then, oldest first, of one session, one owner, or all."""
        order = (LEDGER.c.ended_at_s, LEDGER.c.container_id, LEDGER.c.resource, LEDGER.c.use)
        statement = _within(select(LEDGER), session_id, since_s).order_by(*order)
        if owner is not None:
            statement = statement.where(LEDGER.c.owner == owner)
        with self._database.reading() as connection:
            return tuple(row(LedgerEntry, found) for found in connection.execute(statement).mappings())

    def spent_microusd(self, session_id: str | None = None, since_s: float = 0.0) -> int:
        """Return the sum of those lines."""
        statement = _within(select(func.coalesce(func.sum(LEDGER.c.cost_microusd), 0)), session_id, since_s)
        with self._database.reading() as connection:
            return int(connection.execute(statement).scalar_one())

    def spent_by_resource(self) -> dict[tuple[str, bool], int]:
        """Return the sum of all lines in micro-dollars, by resource and by whether it was simulated."""
        columns = (LEDGER.c.resource, LEDGER.c.simulated)
        statement = select(*columns, func.sum(LEDGER.c.cost_microusd)).group_by(*columns).order_by(*columns)
        with self._database.reading() as connection:
            return {(resource, bool(flag)): int(cost) for resource, flag, cost in connection.execute(statement)}

    def by_day(self, since_s: float = 0.0) -> dict[int, int]:
        """Return micro-dollars by day, as whole days since 1970 in UTC of when the containers ended."""
        day = func.floor(LEDGER.c.ended_at_s / 86400.0)
        statement = _within(select(day, func.sum(LEDGER.c.cost_microusd)), None, since_s).group_by(day).order_by(day)
        with self._database.reading() as connection:
            return {int(number): int(cost) for number, cost in connection.execute(statement)}


def _within(statement: Select[Any], session_id: str | None, since_s: float) -> Select[Any]:
    statement = statement.where(LEDGER.c.ended_at_s >= since_s)
    return statement if session_id is None else statement.where(LEDGER.c.session_id == session_id)
