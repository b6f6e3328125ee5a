"""Rows of sessions: one open or hibernated session an owner and key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select, update

from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.sessions import SessionSpec, SessionState
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.rows import Placed, SessionRow
from remote_runtime.store.schema import SESSIONS

STANDING: Final = frozenset({SessionState.OPEN, SessionState.HIBERNATED})

_BLANK: Final[dict[str, Any]] = {
    "card": "",
    "card_count": 0,
    "simulated": False,
    "provider": "",
    "place": "",
    "isolation": "",
    "mend": "",
    "boot_id": "",
    "arena": "",
    "layers": (),
    "container_id": "",
    "rate_microusd_per_h": 0,
    "kept_names": (),
    "kept_bytes": 0,
    "kept_lost": {},
}


class Sessions:
    """The table `sessions`. Methods that change a row raise NotFound when there is none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def open(self, spec: SessionSpec, owner: str) -> SessionRow:
        """Return the standing session of this owner and spec, or open one (`new` says which).

        A found session takes over what is not part of its key: the idle window and the notebook that speaks now.
        """
        fresh = {
            **_BLANK,
            "id": new_id("session"),
            "owner": owner,
            "key": spec.key,
            "spec": spec,
            "state": SessionState.OPEN,
            "epoch": new_id("epoch"),
            "opened_at_s": self._clock.now(),
        }
        with self._database.writing() as connection:
            while not self._database.insert_new(connection, SESSIONS, fresh):
                found = connection.execute(_standing(owner, spec.key).with_for_update()).mappings().one_or_none()
                if found is not None:  # else it was closed between the two statements
                    connection.execute(update(SESSIONS).where(SESSIONS.c.id == found["id"]).values(spec=spec))
                    return self._read(connection, found["id"])
            return self._read(connection, str(fresh["id"]), new=True)

    def get(self, session_id: str) -> SessionRow:
        """Return one session, closed ones too; raises NotFound."""
        with self._database.reading() as connection:
            return self._read(connection, session_id)

    def find_by_key(self, owner: str, key: str) -> SessionRow | None:
        """Return the standing session of this owner and key."""
        with self._database.reading() as connection:
            found = connection.execute(_standing(owner, key)).mappings().one_or_none()
        return row(SessionRow, found) if found else None

    def list(self, owner: str | None = None, states: Collection[SessionState] = STANDING) -> tuple[SessionRow, ...]:
        """Return sessions in the order they were opened, of one owner or of all."""
        statement = select(SESSIONS).where(SESSIONS.c.state.in_(states)).order_by(SESSIONS.c.opened_at_s, SESSIONS.c.id)
        if owner is not None:
            statement = statement.where(SESSIONS.c.owner == owner)
        with self._database.reading() as connection:
            return tuple(row(SessionRow, found) for found in connection.execute(statement).mappings())

    def count_by_state(self) -> dict[str, int]:
        """Return how many sessions there are in each state, closed ones too."""
        statement = select(SESSIONS.c.state, func.count()).group_by(SESSIONS.c.state)
        with self._database.reading() as connection:
            return {SessionState(state).value: int(count) for state, count in connection.execute(statement)}

    def expired(self, now_s: float) -> tuple[SessionRow, ...]:
        """Return hibernated sessions whose kept state has had its time."""
        return tuple(
            session
            for session in self.list(states=(SessionState.HIBERNATED,))
            if session.kept_until_s is not None and session.kept_until_s <= now_s
        )

    def place(self, session_id: str, placed: Placed) -> SessionRow:
        """Record where the session runs and what an hour of it costs."""
        return self._change(session_id, **asdict(placed))

    def set_state(self, session_id: str, state: SessionState) -> SessionRow:
        """Move the session. A closed one stays closed."""
        closed_at_s = self._clock.now() if state is SessionState.CLOSED else None
        with self._database.writing() as connection:
            standing = (SESSIONS.c.id == session_id) & SESSIONS.c.state.in_(STANDING)
            connection.execute(update(SESSIONS).where(standing).values(state=state, closed_at_s=closed_at_s))
            return self._read(connection, session_id)

    def set_container(self, session_id: str, container_id: str) -> SessionRow:
        """Record the session's container; an empty id means it has none."""
        return self._change(session_id, container_id=container_id)

    def set_epoch(self, session_id: str, epoch: str, lost: Mapping[str, str] | None = None) -> SessionRow:
        """Name the namespace that lives now; nothing is kept aside of it. `lost` is what it is yet to be told of."""
        kept = {"kept_names": (), "kept_bytes": 0, "kept_until_s": None, "kept_lost": dict(lost or {})}
        return self._change(session_id, epoch=epoch, **kept)

    def set_layers(self, session_id: str, layers: tuple[str, ...]) -> SessionRow:
        """Replace the package layers."""
        return self._change(session_id, layers=layers)

    def append_layer(self, session_id: str, layer: str) -> SessionRow:
        """Add a package layer at the end, once."""
        with self._database.writing() as connection:
            connection.execute(select(SESSIONS.c.id).where(SESSIONS.c.id == session_id).with_for_update())
            session = self._read(connection, session_id)
            if layer not in session.layers:
                layers = (*session.layers, layer)
                connection.execute(update(SESSIONS).where(SESSIONS.c.id == session_id).values(layers=layers))
            return self._read(connection, session_id)

    def set_kept(
        self,
        session_id: str,
        *,
        names: tuple[str, ...],
        size_bytes: int,
        epoch: str,
        until_s: float,
        lost: Mapping[str, str] | None = None,
    ) -> SessionRow:
        """Record what hibernation saved and until when it is kept, and what it could not save: name -> reason."""
        kept = {"kept_names": names, "kept_bytes": size_bytes, "kept_until_s": until_s, "kept_lost": dict(lost or {})}
        return self._change(session_id, epoch=epoch, **kept)

    def set_expired(self, session_id: str, epoch: str, lost: Mapping[str, str]) -> SessionRow:
        """Record that what was kept is gone, and what it was; the session is open, its namespace a new one."""
        gone = {"kept_names": (), "kept_bytes": 0, "kept_until_s": None, "kept_lost": dict(lost)}
        return self._change(session_id, epoch=epoch, state=SessionState.OPEN, **gone)

    def pin(self, session_id: str, until_s: float | None) -> SessionRow:
        """Keep the session warm until then; None lets it idle again."""
        return self._change(session_id, pinned_until_s=until_s)

    def touch(self, session_id: str, idle_since_s: float | None) -> SessionRow:
        """Record since when no cell runs; None while one does."""
        return self._change(session_id, idle_since_s=idle_since_s)

    def _change(self, session_id: str, **values: Any) -> SessionRow:
        with self._database.writing() as connection:
            connection.execute(update(SESSIONS).where(SESSIONS.c.id == session_id).values(**values))
            return self._read(connection, session_id)

    def _read(self, connection: Connection, session_id: str, *, new: bool = False) -> SessionRow:
        found = connection.execute(select(SESSIONS).where(SESSIONS.c.id == session_id)).mappings().one_or_none()
        if found is None:
            raise no_session(session_id)
        return SessionRow(**found, new=new)


def no_session(session_id: str) -> NotFound:
    """Return what to raise for a session that is not there, or not for whoever asks."""
    return NotFound(f"There is no session {session_id[:80]!r}: `%gpu_status` lists those there are.")


def _standing(owner: str, key: str) -> Select[Any]:
    matches = (SESSIONS.c.owner == owner) & (SESSIONS.c.key == key) & SESSIONS.c.state.in_(STANDING)
    return select(SESSIONS).where(matches)
