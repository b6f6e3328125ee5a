"""Metrics, as Prometheus reads them."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from remote_runtime.api.auth import Gate
from remote_runtime.observability.metrics import Metrics
from remote_runtime.scheduler.census import CensusTaker


def router(metrics: Metrics, census: CensusTaker, gate: Gate) -> APIRouter:
    """Make the route of metrics. It tells of everyone's sessions, in sums."""
    routes = APIRouter(dependencies=[Depends(gate.person)])

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def scrape() -> Response:
        """Count, and answer in the text format."""
        return Response(metrics.text(await census.census()), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes
