"""The seat: one control plane acts on a database, however many are started on it.

Whoever takes the seat gets a number, its fence, and shows it at the beginning of every transaction that writes. Another
may take the seat when it was given up or was not renewed in time; from then on the earlier one can write nothing.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Double, cast, func, literal, select, update

from kernel_bridge.errors import Conflict
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database
from remote_runtime.store.schema import SEAT

LEASE_S: Final = 30.0
RENEW_S: Final = 5.0


class Seat:
    """The one row of the table `seat`, and whether it is ours."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.fence = 0  # 0: not ours

    def take(self, holder: str, place: str, lease_s: float = LEASE_S) -> None:
        """Sit down, or raise Conflict saying who sits there.

        `holder` names a data directory: a control plane that starts again in its own need not wait for the lease.
        """
        with self._database.writing() as connection:
            now = self._now(connection)
            blank = {"id": 1, "holder": "", "place": "", "fence": 0, "until_s": 0.0}
            self._database.insert_new(connection, SEAT, blank)
            free = (SEAT.c.holder == holder) | (SEAT.c.until_s <= now)
            values = {"holder": holder, "place": place, "fence": SEAT.c.fence + 1, "until_s": now + lease_s}
            taken = connection.execute(update(SEAT).where(free).values(**values).returning(SEAT.c.fence)).scalar()
            if taken is None:
                other = connection.execute(select(SEAT.c.place)).scalar_one()
                raise Conflict(
                    f"A control plane on {other} uses this database: stop that one first, or give this one a database "
                    f"of its own. If it was killed, try again in {lease_s:.0f} s."
                )
        self.fence = taken
        self._database.admit(self._check)

    def renew(self, lease_s: float = LEASE_S) -> None:
        """Say that we are still here; raises Conflict when somebody else took the seat."""
        with self._database.writing() as connection:
            connection.execute(update(SEAT).values(until_s=self._now(connection) + lease_s))

    def leave(self) -> None:
        """Give the seat up, if it is ours."""
        if self.fence:
            with self._database.writing() as connection:
                connection.execute(update(SEAT).values(until_s=0.0))
            self.fence = 0

    def _check(self, connection: Connection) -> None:
        # Shared: writers do not wait for each other, and whoever takes the seat waits for those under way.
        row = connection.execute(select(SEAT.c.fence, SEAT.c.place).with_for_update(read=True)).one()
        if row.fence != self.fence:
            raise Conflict(f"A control plane on {row.place} has taken over this database: this one ends.")

    def _now(self, connection: Connection) -> ColumnElement[Any]:
        """Return the time that all who share the database agree on."""
        if connection.dialect.name == "postgresql":
            return cast(func.extract("epoch", func.clock_timestamp()), Double)
        return literal(self._clock.now(), Double)
