"""A session's logs, for whoever owns it: found, and struck of its secrets."""

from __future__ import annotations

import asyncio

from kernel_bridge.errors import CellburstError
from kernel_bridge.protocol.logs import LogLine
from kernel_bridge.protocol.redaction import Redactor
from remote_runtime.observability.logbook import Logbook, Question
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.sessions import Sessions


class SessionLogs:
    """Reads the logs of sessions."""

    def __init__(self, parts: Parts, sessions: Sessions, logbook: Logbook) -> None:
        self._parts = parts
        self._sessions = sessions
        self._logbook = logbook

    async def read(self, asked: Question, owner: str | None) -> list[LogLine]:
        """Return what was said of a session within an owner's reach; raises NotFound."""
        row = await self._sessions.row(asked.session_id, owner)
        values: dict[str, str] = {}
        for name in row.spec.secrets:
            try:
                values |= await self._parts.store.run(self._parts.secrets.of(row.owner).open, name)
            except CellburstError:  # removed since: its value was struck where it was written
                continue
        containers = self._parts.places.session(row.id) / "containers"
        return await asyncio.to_thread(self._logbook.read, asked, containers, Redactor(values).strike)
