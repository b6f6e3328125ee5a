"""Blobs: which are missing, put, get. People and agents may, and see what their owner has put."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Depends, Request, Response

from kernel_bridge.errors import TooLarge
from remote_runtime.api.auth import Gate, principal_of
from remote_runtime.api.bodies import check_length, json_body, receive, send_file
from remote_runtime.api.description import Digest, gives_bytes, takes, takes_bytes
from remote_runtime.store.blobs import Blobs
from remote_runtime.store.store import Store

DIGESTS_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Digests:
    """Which blobs are meant."""

    digests: tuple[str, ...]


def router(store: Store, gate: Gate, limit_bytes: int) -> APIRouter:
    """Make the routes of blobs up to a size."""
    routes = APIRouter(prefix="/v1/blobs", dependencies=[Depends(gate.anyone)])

    def mine(request: Request) -> Blobs:
        return store.blobs.of(principal_of(request).owner)

    @routes.post("/missing", openapi_extra=takes(Digests))
    async def missing(request: Request) -> dict[str, tuple[str, ...]]:
        """Tell which of the digests are not here."""
        asked = await json_body(request, Digests)
        if len(asked.digests) > DIGESTS_LIMIT:
            raise TooLarge(f"At most {DIGESTS_LIMIT} digests may be asked for at once.")
        return {"missing": await store.run(mine(request).missing, asked.digests)}

    @routes.put("/{digest}", status_code=201, openapi_extra=takes_bytes())
    async def put(digest: Digest, request: Request) -> dict[str, str | int]:
        """Take a blob as it comes; its bytes must have the digest it is put under."""
        check_length(request, limit_bytes)
        row = await receive(request, mine(request).incoming(digest, limit_bytes))
        return {"digest": row.digest, "size_bytes": row.size_bytes}

    @routes.head("/{digest}", response_class=Response)
    def head(digest: Digest, request: Request) -> Response:
        """Tell whether a blob is here, and how large it is."""
        return Response(headers={"Content-Length": str(mine(request).get(digest).size_bytes)})

    @routes.get("/{digest}", response_class=Response, responses=gives_bytes())
    def get(digest: Digest, request: Request) -> Response:
        """Send a blob."""
        row = mine(request).get(digest)
        return send_file(store.blobs.open(digest), row.size_bytes)

    return routes
