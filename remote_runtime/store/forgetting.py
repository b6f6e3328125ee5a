"""Rows that nobody will ask for again. The ledger is not among them: it is kept for ever."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, func, or_, select

from kernel_bridge.protocol.sessions import SessionState
from remote_runtime.store.database import Database
from remote_runtime.store.rows import SessionRow
from remote_runtime.store.schema import CELLS, CONTAINERS, SESSIONS, TOKENS

_AT_A_TIME: Final = 100  # sessions: cells that end meanwhile are written between two calls


class Forgetting:
    """What goes from several tables at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def abandoned(self, before_s: float) -> tuple[SessionRow, ...]:
        """Return open sessions that have no container and have had none since then: they hold files and no state."""
        since = select(CONTAINERS.c.id).where(
            (CONTAINERS.c.session_id == SESSIONS.c.id)
            & func.coalesce(CONTAINERS.c.ended_at_s >= before_s, True)  # one that has not ended
        )
        nobody = (SESSIONS.c.state == SessionState.OPEN) & (SESSIONS.c.opened_at_s < before_s) & ~since.exists()
        with self._database.reading() as connection:
            found = connection.execute(select(SESSIONS).where(nobody)).mappings()
            return tuple(SessionRow(**row) for row in found)

    def sessions(self, before_s: float) -> int:
        """Forget some sessions closed before then, with their containers and cells, as far as all is billed.

        Return how many; until that is none, there may be more.
        """
        unbilled = select(CONTAINERS.c.id).where(
            (CONTAINERS.c.session_id == SESSIONS.c.id) & CONTAINERS.c.billed.is_(False)
        )
        over = (SESSIONS.c.state == SessionState.CLOSED) & (SESSIONS.c.closed_at_s < before_s) & ~unbilled.exists()
        with self._database.writing() as connection:
            ids = connection.execute(select(SESSIONS.c.id).where(over).limit(_AT_A_TIME)).scalars().all()
            for table, column in ((CELLS, CELLS.c.session_id), (CONTAINERS, CONTAINERS.c.session_id)):
                connection.execute(delete(table).where(column.in_(ids)))
            connection.execute(delete(SESSIONS).where(SESSIONS.c.id.in_(ids)))
        return len(ids)

    def tokens(self, before_s: float) -> int:
        """Forget tokens that were revoked or had expired before then."""
        worthless = or_(TOKENS.c.revoked_at_s < before_s, TOKENS.c.expires_at_s < before_s)
        with self._database.writing() as connection:
            return connection.execute(delete(TOKENS).where(worthless)).rowcount
