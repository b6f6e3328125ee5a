"""Tokens of people: make one (shown once), list, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Depends, Request

from kernel_bridge.errors import BadRequest, Forbidden
from kernel_bridge.protocol.scopes import OWNER, SCOPES
from remote_runtime.api.auth import Gate, owner_of, owners_of, principal_of, reach_of
from remote_runtime.api.bodies import json_body
from remote_runtime.api.description import Id, takes
from remote_runtime.api.watch import Watch
from remote_runtime.clock import Clock
from remote_runtime.store.rows import TokenRow
from remote_runtime.store.store import Store

EXPIRY_LIMIT_S: Final = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is called, what it may, and for how long it is good; None: until it is revoked."""

    name: str = ""
    expires_in_s: float | None = None
    scope: str = OWNER


def router(store: Store, gate: Gate, watch: Watch, clock: Clock) -> APIRouter:
    """Make the routes of tokens."""
    routes = APIRouter(prefix="/v1/tokens", dependencies=[Depends(gate.owner)])

    @routes.get("")
    def listed(request: Request) -> list[dict[str, Any]]:
        """List the caller's tokens that have not been revoked."""
        return [_shown(row) for row in store.tokens.list(owners_of(request))]

    @routes.post("", status_code=201, openapi_extra=takes(NewToken))
    async def create(request: Request) -> dict[str, Any]:
        """Make a token that may no more than the caller's own; `token` is in this reply and nowhere else."""
        wanted = await json_body(request, NewToken)
        principal, owner = principal_of(request), owner_of(request)
        expires_at_s = None if wanted.expires_in_s is None else clock.now() + _lifetime(wanted.expires_in_s)
        if wanted.scope in SCOPES and not principal.may(wanted.scope):
            raise Forbidden("Only a token of scope `admin` makes another of that scope.")
        scope = _scope(wanted.scope)
        row, plaintext = await store.run(store.tokens.create, wanted.name, scope, expires_at_s, owner)
        return {**_shown(row), "token": plaintext}

    @routes.delete("/{token_id}", status_code=204)
    async def revoke(token_id: Id, request: Request) -> None:
        """Make a token worthless, at once: what stands open on it is closed."""
        await store.run(store.tokens.revoke, token_id, reach_of(request))
        await watch.look()

    return routes


def _scope(scope: str) -> str:
    if scope not in SCOPES:
        known = ", ".join(f"`{scope}`" for scope in SCOPES)
        raise BadRequest(f"`scope` is one of {known}: a container's own token is the runtime's to make.")
    return scope


def _lifetime(seconds: float) -> float:
    if not 0 < seconds <= EXPIRY_LIMIT_S:
        raise BadRequest(f"`expires_in_s` wants a number of seconds above 0 and up to {EXPIRY_LIMIT_S:.0f}.")
    return seconds


def _shown(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "owner": row.owner,
        "scope": row.scope,
        "created_at_s": row.created_at_s,
        "expires_at_s": row.expires_at_s,
        "last_used_at_s": row.last_used_at_s,
    }
