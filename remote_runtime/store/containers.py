"""Rows of containers. A fencing token makes a late hand's change touch no row."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Connection, case, func, select, update

from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.sessions import ContainerState
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.rows import ContainerRow, NewContainer
from remote_runtime.store.schema import CELLS, CONTAINERS

LEASE_S: Final = 30.0


class Containers:
    """The table `containers`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, session_id: str, wanted: NewContainer) -> ContainerRow:
        """Write down a container before anyone starts it: pending, fence 1, leased to the caller."""
        now_s = self._clock.now()
        values = {field.name: getattr(wanted, field.name) for field in fields(wanted)} | {
            "id": new_id("container"),
            "session_id": session_id,
            "state": ContainerState.PENDING,
            "fence": 1,
            "lease_until_s": now_s + LEASE_S,
            "created_at_s": now_s,
            "cause": "",
            "billed": False,
        }
        with self._database.writing() as connection:
            connection.execute(CONTAINERS.insert().values(**values))
            return self._read(connection, values["id"])

    def get(self, container_id: str) -> ContainerRow:
        """Return one container; raises NotFound."""
        with self._database.reading() as connection:
            return self._read(connection, container_id)

    def live(self) -> tuple[ContainerRow, ...]:
        """Return the containers that have not ended, oldest first."""
        return self._select(CONTAINERS.c.ended_at_s.is_(None))

    def unbilled(self) -> tuple[ContainerRow, ...]:
        """Return the containers that have ended and whose ledger lines are not written yet."""
        return self._select(CONTAINERS.c.ended_at_s.is_not(None) & CONTAINERS.c.billed.is_(False))

    def of_session(self, session_id: str) -> tuple[ContainerRow, ...]:
        """Return every container a session has had, oldest first."""
        return self._select(CONTAINERS.c.session_id == session_id)

    def claim(self, container_id: str, lease_s: float = LEASE_S) -> ContainerRow | None:
        """Take a live container whose lease has run out; the new fence outranks every older one. None: it is held."""
        now_s = self._clock.now()
        free = (CONTAINERS.c.lease_until_s <= now_s) & CONTAINERS.c.ended_at_s.is_(None)
        return self._change(container_id, free, fence=CONTAINERS.c.fence + 1, lease_until_s=now_s + lease_s)

    def release(self, container_id: str, fence: int) -> bool:
        """Let the lease run out now, so that the next claim need not wait."""
        return self._change(container_id, CONTAINERS.c.fence == fence, lease_until_s=0.0) is not None

    def move(self, container_id: str, to_state: ContainerState, fence: int) -> bool:
        """Set the state (the scheduler knows which moves are legal); False when the fence is stale or it has ended."""
        holds = (CONTAINERS.c.fence == fence) & CONTAINERS.c.ended_at_s.is_(None)
        return self._change(container_id, holds, state=to_state) is not None

    def set_handle(self, container_id: str, handle: dict[str, Any], fence: int, started_at_s: float) -> bool:
        """Record what the provider calls it and when it began to cost; False when the fence is stale."""
        holds = (CONTAINERS.c.fence == fence) & CONTAINERS.c.ended_at_s.is_(None)
        return self._change(container_id, holds, handle=handle, started_at_s=started_at_s) is not None

    def heartbeat(self, container_id: str, at_s: float) -> bool:
        """Record a sign of life; False when it has ended."""
        return self._change(container_id, CONTAINERS.c.ended_at_s.is_(None), heartbeat_at_s=at_s) is not None

    def shift_live(self, by_s: float, before_s: float) -> None:
        """Move the times of containers that run, and of their cells, up to `before_s` when the clock was set."""
        live = CONTAINERS.c.ended_at_s.is_(None)
        of_live = CELLS.c.container_id.in_(select(CONTAINERS.c.id).where(live))
        with self._database.writing() as connection:
            for column in (CELLS.c.submitted_at_s, CELLS.c.started_at_s, CELLS.c.ended_at_s):
                old = of_live & (column <= before_s)
                connection.execute(update(CELLS).where(old).values({column: column + by_s}))
            for column in (CONTAINERS.c.created_at_s, CONTAINERS.c.started_at_s, CONTAINERS.c.heartbeat_at_s):
                old = live & (column <= before_s)
                connection.execute(update(CONTAINERS).where(old).values({column: column + by_s}))

    def ended(self, container_id: str, at_s: float, cause: str, state: ContainerState = ContainerState.STOPPED) -> bool:
        """Record the end, once: True for the call that did. An end is never before the start."""
        self.get(container_id)
        began = func.coalesce(CONTAINERS.c.started_at_s, CONTAINERS.c.created_at_s)
        at = case((began > at_s, began), else_=at_s)
        alive = CONTAINERS.c.ended_at_s.is_(None)
        return self._change(container_id, alive, ended_at_s=at, cause=cause, state=state) is not None

    def _change(self, container_id: str, condition: Any, **values: Any) -> ContainerRow | None:
        statement = update(CONTAINERS).where(CONTAINERS.c.id == container_id, condition).values(**values)
        with self._database.writing() as connection:
            if connection.execute(statement).rowcount == 1:
                return self._read(connection, container_id)
        return None

    def _select(self, condition: Any) -> tuple[ContainerRow, ...]:
        statement = select(CONTAINERS).where(condition).order_by(CONTAINERS.c.created_at_s, CONTAINERS.c.id)
        with self._database.reading() as connection:
            return tuple(row(ContainerRow, found) for found in connection.execute(statement).mappings())

    def _read(self, connection: Connection, container_id: str) -> ContainerRow:
        found = connection.execute(select(CONTAINERS).where(CONTAINERS.c.id == container_id)).mappings().one_or_none()
        if found is None:
            raise NotFound(f"There is no container {container_id[:80]!r}.")
        return row(ContainerRow, found)
