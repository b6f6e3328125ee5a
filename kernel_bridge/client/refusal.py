"""Tell a connection that failed for now from one that will never work."""

from __future__ import annotations

import json

from websockets.exceptions import ConnectionClosed, InvalidStatus

from kernel_bridge.errors import BY_CODE
from kernel_bridge.protocol.notes import Refused

POLICY_VIOLATION = 1008  # closed because we may not; the reason is an error's code
TAKEN_OVER = 4001  # another client speaks for this session now
_TAKEN_OVER = (
    "Another notebook has taken this session over: a cell that ran goes on, but its output is not shown here. "
    "The next cell takes the session back."
)
_CODE_OF_STATUS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict", 400: "bad_request"}


def refusal_of(error: BaseException | None) -> Refused | None:
    """Return why trying again is useless, or None when it is not."""
    if isinstance(error, InvalidStatus):
        return _from_status(error.response.status_code, bytes(error.response.body or b""))
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return _from_close(error.rcvd.code, error.rcvd.reason)
    return None


def _from_close(code: int, reason: str) -> Refused | None:
    if code == TAKEN_OVER:
        return Refused(code="conflict", detail=_TAKEN_OVER)
    if code == POLICY_VIOLATION:
        return Refused(code=reason if reason in BY_CODE else "forbidden", detail="")
    return None


def _from_status(status: int, body: bytes) -> Refused | None:
    if status not in _CODE_OF_STATUS:
        return None
    try:
        fields = json.loads(body)
    except ValueError:
        fields = {}
    if isinstance(fields, dict) and fields.get("code") in BY_CODE:
        return Refused(code=fields["code"], detail=str(fields.get("detail", "")))
    text = body.decode(errors="replace").strip() if status != 403 else ""  # a bare 403 has a web page's body
    return Refused(code=_CODE_OF_STATUS[status], detail=text[:500])
