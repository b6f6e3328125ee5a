"""Rows of cells. They are written behind the sending, so every method may be called late, twice or out of order.

A notebook names its cells, so a name says nothing by itself: a cell is the one of that name in that container.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import bindparam, select, update

from remote_runtime.billing.meter import busy_ms
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.rows import CellRow, CellStatus, EndedCell, StartedCell
from remote_runtime.store.schema import CELLS

_END: Final = (
    update(CELLS)
    .where(
        (CELLS.c.container_id == bindparam("where")) & (CELLS.c.id == bindparam("which")) & CELLS.c.ended_at_s.is_(None)
    )
    .values(ended_at_s=bindparam("new_ended_at_s"), status=bindparam("new_status"), last_seq=bindparam("new_last_seq"))
)


class Cells:
    """The table `cells`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def started(self, cell: StartedCell) -> bool:
        """Record that a cell was handed to its container; False when it is known already."""
        values = {**asdict(cell), "status": CellStatus.RUNNING, "last_seq": 0}
        with self._database.writing() as connection:
            return self._database.insert_new(connection, CELLS, values)

    def ended(self, cell: EndedCell) -> bool:
        """Record how a cell ended, once; False when it had ended or was never recorded."""
        with self._database.writing() as connection:
            return connection.execute(_END, _end_of(cell)).rowcount == 1

    def record(self, started: Sequence[StartedCell], ended: Sequence[EndedCell]) -> None:
        """Record what happened in a while, in one transaction: short cells come and go faster than rows are written."""
        fresh = {"status": CellStatus.RUNNING, "ended_at_s": None, "last_seq": 0}
        rows = {(cell.container_id, cell.id): asdict(cell) | fresh for cell in started}
        older = []
        for cell in ended:
            if (cell.container_id, cell.id) in rows:
                rows[cell.container_id, cell.id] |= asdict(cell)
            else:
                older.append(_end_of(cell))
        with self._database.writing() as connection:
            self._database.insert_many(connection, CELLS, list(rows.values()))
            if older:
                connection.execute(_END, older)

    def lost(self, container_id: str, at_s: float) -> tuple[CellRow, ...]:
        """End every cell that still ran in a container that is gone; return them as they were."""
        caught = (CELLS.c.container_id == container_id) & CELLS.c.ended_at_s.is_(None)
        with self._database.writing() as connection:
            found = connection.execute(select(CELLS).where(caught).with_for_update()).mappings().all()
            connection.execute(update(CELLS).where(caught).values(ended_at_s=at_s, status=CellStatus.LOST))
        return tuple(row(CellRow, mapping) for mapping in found)

    def list(self, session_id: str, limit: int = 1000) -> tuple[CellRow, ...]:
        """Return a session's newest cells, in the order they started."""
        statement = select(CELLS).where(CELLS.c.session_id == session_id)
        newest = statement.order_by(CELLS.c.started_at_s.desc(), CELLS.c.id.desc()).limit(limit)
        return self._rows(newest)[::-1]

    def running(self, session_id: str) -> tuple[CellRow, ...]:
        """Return the session's cells that have not ended, oldest first."""
        open_ones = (CELLS.c.session_id == session_id) & CELLS.c.ended_at_s.is_(None)
        return self._rows(select(CELLS).where(open_ones).order_by(CELLS.c.started_at_s, CELLS.c.id))

    def intervals(self, container_id: str) -> tuple[tuple[float, float | None], ...]:
        """Return when the container's cells ran; None where one still does."""
        statement = select(CELLS.c.started_at_s, CELLS.c.ended_at_s).where(CELLS.c.container_id == container_id)
        with self._database.reading() as connection:
            return tuple((start, end) for start, end in connection.execute(statement.order_by(CELLS.c.started_at_s)))

    def busy_seconds(self, container_id: str, until_s: float) -> float:
        """Return how long the container has run cells; overlapping ones count once."""
        return busy_ms(self.intervals(container_id), 0.0, until_s) / 1000

    def _rows(self, statement: Any) -> tuple[CellRow, ...]:
        with self._database.reading() as connection:
            return tuple(row(CellRow, found) for found in connection.execute(statement).mappings())


def _end_of(cell: EndedCell) -> dict[str, Any]:
    """Return what `_END` wants to know."""
    return {
        "where": cell.container_id,
        "which": cell.id,
        "new_ended_at_s": cell.ended_at_s,
        "new_status": cell.status,
        "new_last_seq": cell.last_seq,
    }
