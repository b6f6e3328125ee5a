"""Tokens of people: make one (shown once), list, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request

from kernel_bridge.errors import BadRequest
from remote_runtime.api.auth import Gate, principal_of
from remote_runtime.api.bodies import json_body
from remote_runtime.clock import Clock
from remote_runtime.store.rows import OWNER, TokenRow
from remote_runtime.store.store import Store


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is called and for how long it is good; None: until it is revoked."""

    name: str = ""
    expires_in_s: float | None = None


def router(store: Store, gate: Gate, clock: Clock) -> APIRouter:
    """Make the routes of tokens."""
    routes = APIRouter(prefix="/v1/tokens", dependencies=[Depends(gate.person)])

    @routes.get("")
    def listed() -> list[dict[str, Any]]:
        """List the tokens of people that have not been revoked."""
        return [_shown(row) for row in store.tokens.list()]

    @routes.post("", status_code=201)
    async def create(request: Request) -> dict[str, Any]:
        """Make a token for whoever asks; `token` is in this reply and nowhere else."""
        wanted = await json_body(request, NewToken)
        expires_at_s = None if wanted.expires_in_s is None else clock.now() + _positive(wanted.expires_in_s)
        owner = principal_of(request).owner
        row, plaintext = await store.run(store.tokens.create, wanted.name[:100], OWNER, expires_at_s, owner)
        return {**_shown(row), "token": plaintext}

    @routes.delete("/{token_id}", status_code=204)
    async def revoke(token_id: str) -> None:
        """Make a token worthless."""
        await store.run(store.tokens.revoke, token_id)

    return routes


def _positive(seconds: float) -> float:
    if not 0 < seconds < float("inf"):
        raise BadRequest("`expires_in_s` wants a number of seconds above 0.")
    return seconds


def _shown(row: TokenRow) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "created_at_s": row.created_at_s, "expires_at_s": row.expires_at_s}
