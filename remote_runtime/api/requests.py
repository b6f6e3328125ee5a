"""What is known of every request: its id, in the log and in the answer; how it went and how long it took."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel_bridge.logs import bound
from remote_runtime.clock import Clock
from remote_runtime.observability.metrics import Metrics

log = logging.getLogger(__name__)

_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})  # machines ask them every few seconds
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_STREAMS: Final = frozenset({"/v1/events"})  # how long one is read is no measure of anything


class Requests:
    """Middleware of HTTP requests; websockets pass, for a frame more would be on every message's way."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Clock) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Watch a request, or pass a websocket on."""
        return self._watch(scope, receive, send) if scope["type"] == "http" else self._app(scope, receive, send)

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        request_id = _valid(headers.get("x-request-id", "")) or secrets.token_hex(8)
        status = 500  # what the server answers when the application raises

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        began_s = self._clock.monotonic()
        with bound(request_id=request_id, cell_id=_valid(headers.get("x-cellburst-cell", ""))):
            try:
                await self._app(scope, receive, told)
            finally:
                self._ended(scope, status, self._clock.monotonic() - began_s)

    def _ended(self, scope: Scope, status: int, seconds: float) -> None:
        # Anyone may write any word there, and a series would be kept for each.
        method, route = scope["method"] if scope["method"] in _METHODS else "other", _route(scope)
        if route not in _STREAMS:
            self._metrics.answered(method, route, status, seconds)
        level = logging.DEBUG if route in _QUIET and status < 400 else logging.INFO
        if log.isEnabledFor(level):
            extra: dict[str, Any] = {"fields": {"status": status, "ms": round(seconds * 1000, 1)}}
            if session_id := _valid(str(scope.get("path_params", {}).get("session_id", ""))):
                extra["session_id"] = session_id
            log.log(level, "%s %s", method, route, extra=extra)


def _route(scope: Scope) -> str:
    """Return the route's template: a path would hold names, and make a series of its own for each."""
    return str(getattr(scope.get("route"), "path", "") or "unmatched")


def _valid(text: str) -> str:
    return text if _ID.match(text) else ""
