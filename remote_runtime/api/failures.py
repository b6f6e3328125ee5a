"""The one way an error leaves the server: `{"code", "detail"}` under the status of its code."""

from __future__ import annotations

import errno
import logging
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketState

from kernel_bridge.errors import HTTP_STATUS, BadRequest, CellburstError, NotFound, TooLarge, Unauthorized

log = logging.getLogger(__name__)

POLICY_VIOLATION: Final = 1008  # the websocket close code for "you may not"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def install(app: FastAPI) -> None:
    """Answer every error of this app in one form, also those nobody foresaw."""
    for kind in (CellburstError, RequestValidationError, HTTPException, OSError, Exception):
        app.add_exception_handler(kind, _answer)  # type: ignore[arg-type]  # one for requests and websockets


def reply_for(error: Exception) -> JSONResponse:
    """Return what the wire says when this error leaves the server. What was sent is never repeated."""
    known = _translate(error)
    headers = dict(getattr(error, "headers", None) or {})
    if isinstance(known, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    status = error.status_code if isinstance(error, HTTPException) else HTTP_STATUS.get(known.code, 500)
    return JSONResponse({"code": known.code, "detail": str(known)}, status, headers)


async def _answer(connection: HTTPConnection, error: Exception) -> JSONResponse | None:
    reply = reply_for(error)
    if reply.status_code >= 500 and not isinstance(error, CellburstError):
        log.error("%s failed", connection.url.path, exc_info=error)
    if isinstance(connection, WebSocket):
        await _refuse(connection, reply)
        return None  # it has had its answer: Starlette would send this one again
    return reply


async def _refuse(socket: WebSocket, reply: JSONResponse) -> None:
    """Turn a websocket away: before the handshake with the reply itself, afterwards by closing."""
    if socket.application_state is WebSocketState.CONNECTING and "websocket.http.response" in socket.get(
        "extensions", {}
    ):
        await socket.send_denial_response(reply)
    elif socket.application_state is not WebSocketState.DISCONNECTED:
        await socket.close(POLICY_VIOLATION)


def _translate(error: Exception) -> CellburstError:
    if isinstance(error, CellburstError):
        return error
    if isinstance(error, RequestValidationError):
        return BadRequest("; ".join(_sentence(problem) for problem in error.errors()) + ".")
    if isinstance(error, HTTPException):
        return _of_status(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        return TooLarge("The runtime's disk is full: remove volumes or images that nobody needs.")
    return CellburstError("The runtime failed on this request; its log says why.")


def _of_status(error: HTTPException) -> CellburstError:
    if error.status_code == 404:
        return NotFound("This runtime has no such route.")
    return BadRequest(str(error.detail)) if error.status_code < 500 else CellburstError(str(error.detail))


def _sentence(problem: dict[str, object]) -> str:
    where = problem.get("loc", ())
    place = ".".join(map(str, where)) if isinstance(where, (list, tuple)) else str(where)
    return f"{place}: {problem.get('msg', 'is wrong')}"
