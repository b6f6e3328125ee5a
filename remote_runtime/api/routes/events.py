"""Events: how everything an owner has changes, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from kernel_bridge.protocol.events import event_to_wire
from remote_runtime.api.auth import Gate, owners_of, principal_of
from remote_runtime.api.watch import Watch
from remote_runtime.observability.feed import Feed, Listening, Numbered
from remote_runtime.scheduler.census import CensusTaker
from remote_runtime.scheduler.starting import Starter

Owner = Annotated[str | None, Depends(owners_of)]

RETRY_MS: Final = 1000  # after which a browser comes again


class Stream:
    """What a reader is sent: what it missed or how everything stands, then what happens."""

    def __init__(self, feed: Feed, census: CensusTaker, starter: Starter, watch: Watch) -> None:
        self._feed = feed
        self._census = census
        self._starter = starter
        self._watch = watch

    async def events(self, request: Request, owner: str | None, last_event_id: str) -> AsyncIterator[ServerSentEvent]:
        """Yield events until the reader goes, falls behind, its token is worthless, or the runtime ends.

        Comments that keep the connection open come from FastAPI, every 15 s.
        """
        async with self._listening(request, owner) as listening:
            missed = self._feed.since(last_event_id, owner)
            if missed is None:
                at = self._feed.last_id  # what happens while we look is told after it, again
                missed = [Numbered(at, await self._census.snapshot(owner, self._starter))]
            yield ServerSentEvent(retry=RETRY_MS, comment="cellburst")
            for item in missed:
                yield _sse(item)
            async for item in listening.events():
                yield _sse(item)

    @asynccontextmanager
    async def _listening(self, request: Request, owner: str | None) -> AsyncIterator[Listening]:
        listening = self._feed.listen(owner)

        async def hang_up(_why: str) -> None:
            listening.end()

        try:
            with self._watch.over(principal_of(request), hang_up):
                yield listening
        finally:
            self._feed.leave(listening)


def router(stream: Stream, gate: Gate) -> APIRouter:
    """Make the route of events."""
    routes = APIRouter(dependencies=[Depends(gate.person)])

    @routes.get("/v1/events", response_class=EventSourceResponse)
    async def events(
        request: Request, owner: Owner, last_event_id: Annotated[str, Header(max_length=100)] = ""
    ) -> AsyncIterator[ServerSentEvent]:
        """Stream what changes; `Last-Event-ID` says where a reader was."""
        async for event in stream.events(request, owner, last_event_id):
            yield event

    return routes


def _sse(item: Numbered) -> ServerSentEvent:
    data = json.dumps(event_to_wire(item.event), separators=(",", ":"))
    return ServerSentEvent(id=item.id, event=item.event.kind, raw_data=data)
