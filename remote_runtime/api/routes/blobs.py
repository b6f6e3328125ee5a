"""Blobs: which are missing, put, get. People and agents may."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request, Response

from remote_runtime.api.auth import Gate
from remote_runtime.api.bodies import check_length, json_body, receive, send_file
from remote_runtime.store.blobs import Blobs
from remote_runtime.store.store import Store


@dataclass(frozen=True, slots=True)
class Digests:
    """Which blobs are meant."""

    digests: tuple[str, ...]


def router(store: Store, gate: Gate, limit_bytes: int) -> APIRouter:
    """Make the routes of blobs up to a size."""
    routes = APIRouter(prefix="/v1/blobs", dependencies=[Depends(gate.anyone)])
    blobs: Blobs = store.blobs

    @routes.post("/missing")
    async def missing(request: Request) -> dict[str, tuple[str, ...]]:
        """Tell which of the digests are not here."""
        asked = await json_body(request, Digests)
        return {"missing": await store.run(blobs.missing, asked.digests)}

    @routes.put("/{digest}", status_code=201)
    async def put(digest: str, request: Request) -> dict[str, str | int]:
        """Take a blob as it comes; its bytes must have the digest it is put under."""
        check_length(request, limit_bytes)
        row = await receive(request, blobs.incoming(digest, limit_bytes))
        return {"digest": row.digest, "size_bytes": row.size_bytes}

    @routes.head("/{digest}")
    def head(digest: str) -> Response:
        """Tell whether a blob is here, and how large it is."""
        return Response(headers={"Content-Length": str(blobs.get(digest).size_bytes)})

    @routes.get("/{digest}")
    def get(digest: str) -> Response:
        """Send a blob."""
        row = blobs.get(digest)
        return send_file(blobs.open(digest), row.size_bytes)

    return routes
