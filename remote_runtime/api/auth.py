"""Who is asking: a Bearer token becomes a Principal, and what it is for decides which doors open."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from kernel_bridge.errors import Forbidden, Unauthorized
from remote_runtime.store.rows import Principal
from remote_runtime.store.tokens import Tokens


class Gate:
    """The dependencies of routes: `Depends(gate.person)` and so on, for requests and websockets alike.

    Each leaves the principal at `principal_of(request)`, and raises Unauthorized or Forbidden.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def person(self, connection: HTTPConnection) -> Principal:
        """Let people in: a container's own token opens nothing but what its agent needs."""
        principal = self._known(connection)
        if not principal.is_owner:
            raise Forbidden("A container's token opens only its agent's channel and blobs.")
        return principal

    async def container(self, connection: HTTPConnection) -> Principal:
        """Let agents in, as the container their token is for."""
        principal = self._known(connection)
        if not principal.container_id:
            raise Forbidden("Only a container's own token opens an agent's channel.")
        return principal

    async def anyone(self, connection: HTTPConnection) -> Principal:
        """Let people and agents in."""
        return self._known(connection)

    def _known(self, connection: HTTPConnection) -> Principal:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        principal = self._tokens.authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            raise Unauthorized
        connection.state.principal = principal
        return principal


def principal_of(connection: HTTPConnection) -> Principal:
    """Return who the gate let in; raises Unauthorized on a route that forgot its gate."""
    principal = getattr(connection.state, "principal", None)
    if not isinstance(principal, Principal):
        raise Unauthorized
    return principal
