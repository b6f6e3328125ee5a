"""Secrets: write, list names, remove. Their values never come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request

from remote_runtime.api.auth import Gate, owner_of
from remote_runtime.api.bodies import json_body
from remote_runtime.api.description import Name, takes
from remote_runtime.secrets.service import Secrets
from remote_runtime.store.rows import SecretRow
from remote_runtime.store.store import Store


@dataclass(frozen=True, slots=True)
class Values:
    """A secret's variables."""

    values: dict[str, str]

    def __repr__(self) -> str:
        return f"Values({sorted(self.values)})"  # a traceback may show this


def router(store: Store, secrets: Secrets, gate: Gate) -> APIRouter:
    """Make the routes of secrets."""
    routes = APIRouter(prefix="/v1/secrets", dependencies=[Depends(gate.person)])

    @routes.get("")
    def listed(request: Request) -> list[dict[str, Any]]:
        """List names, and the names of the variables in them."""
        return [_shown(row) for row in secrets.of(owner_of(request)).list()]

    @routes.put("/{name}", openapi_extra=takes(Values), dependencies=[Depends(gate.owner)])
    async def put(name: Name, request: Request) -> dict[str, Any]:
        """Write a secret or replace it."""
        body = await json_body(request, Values)
        return _shown(await store.run(secrets.of(owner_of(request)).put, name, body.values))

    @routes.post("/rekey", dependencies=[Depends(gate.admin)])
    async def rekey() -> dict[str, Any]:
        """Seal every owner's secrets with a new master key."""
        return {"secrets": await store.run(secrets.rekey)}

    @routes.delete("/{name}", status_code=204, dependencies=[Depends(gate.owner)])
    async def delete(name: Name, request: Request) -> None:
        """Forget a secret."""
        await store.run(secrets.of(owner_of(request)).delete, name)

    return routes


def _shown(row: SecretRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "keys": list(row.keys),
        "created_at_s": row.created_at_s,
        "updated_at_s": row.updated_at_s,
    }
