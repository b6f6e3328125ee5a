"""Health: whether somebody answers, and whether a cell could be run now. For everyone, and with no facts in it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from remote_runtime.scheduler.readiness import OK, Readiness


def router(readiness: Readiness) -> APIRouter:
    """Make the routes of health."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell anyone that somebody answers, and nothing else."""
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        """Tell anyone whether a cell could be run, as a word for each part: 200, or 503."""
        checks = await readiness.checks()
        ready = set(checks.values()) == {OK}
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    return routes
