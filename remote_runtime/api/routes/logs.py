"""Logs: what every process said about a session."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.logs import LEVELS, LINES_LIMIT
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, reach_of
from remote_runtime.api.description import Id
from remote_runtime.observability.logbook import Question
from remote_runtime.scheduler.logs import SessionLogs

Lines = Annotated[int, Query(ge=1, le=LINES_LIMIT)]
Cell = Annotated[str, Query(max_length=200)]
Level = Annotated[str, Query(max_length=40)]


def router(logs: SessionLogs, gate: Gate) -> APIRouter:
    """Make the route of logs."""
    routes = APIRouter(dependencies=[Depends(gate.person)])

    @routes.get("/v1/sessions/{session_id}/logs")
    async def read(
        session_id: Id, request: Request, cell: Cell = "", level: Level = "debug", lines: Lines = 200
    ) -> Any:
        """Show the newest lines of all processes on the runtime's side, of a session or one cell, in time order."""
        if level not in LEVELS:
            raise BadOption(f"`{level[:40]}` is no level: write one of {', '.join(LEVELS)}.")
        asked = Question(session_id=session_id, cell_id=cell, level=level, lines=lines)
        return to_wire(await logs.read(asked, reach_of(request)))

    return routes
