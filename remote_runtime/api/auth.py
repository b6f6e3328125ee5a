"""Who is asking: a Bearer token becomes a Principal, and what it is for decides which doors open."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from kernel_bridge.errors import Forbidden, Unauthorized
from kernel_bridge.protocol.scopes import ADMIN, OWNER, READ, RUN
from remote_runtime.store.named import check_name
from remote_runtime.store.rows import Principal
from remote_runtime.store.tokens import Tokens

EVERYONE: Final = "*"
_LOOKS: Final = frozenset({"GET", "HEAD"})


class Gate:
    """The dependencies of routes: `Depends(gate.person)` and so on, for requests and websockets alike.

    Each leaves the principal at `principal_of(request)`, and raises Unauthorized or Forbidden. The database is asked
    every time, so that a revoked token opens nothing from that moment on; in a thread, for it may be far or away.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def person(self, connection: HTTPConnection) -> Principal:
        """Let people in: to look with any token of theirs, to do something with one that may run cells."""
        return await self._with(connection, _wanted(connection))

    async def reader(self, connection: HTTPConnection) -> Principal:
        """Let people look, however they ask for it."""
        return await self._with(connection, READ)

    async def owner(self, connection: HTTPConnection) -> Principal:
        """Let people at what only their own full token opens: tokens and secrets."""
        return await self._with(connection, OWNER)

    async def admin(self, connection: HTTPConnection) -> Principal:
        """Let in who runs this runtime."""
        return await self._with(connection, ADMIN)

    async def container(self, connection: HTTPConnection) -> Principal:
        """Let agents in, as the container their token is for."""
        principal = await self._known(connection)
        if not principal.container_id:
            raise Forbidden("Only a container's own token opens an agent's channel.")
        return principal

    async def anyone(self, connection: HTTPConnection) -> Principal:
        """Let people in as `person` does, and agents."""
        principal = await self._known(connection)
        return principal if principal.container_id else _may(principal, _wanted(connection))

    async def _with(self, connection: HTTPConnection, scope: str) -> Principal:
        return _may(await self._known(connection), scope)

    async def _known(self, connection: HTTPConnection) -> Principal:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized
        principal = await run_in_threadpool(self._tokens.authenticate, token.strip())
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


def owner_of(connection: HTTPConnection) -> str:
    """Return whose things are meant: the caller's, or an admin's `?owner=NAME`. Raises Forbidden, or BadRequest."""
    principal = principal_of(connection)
    asked = connection.query_params.get("owner", principal.owner)
    if asked == principal.owner:
        return asked
    if not principal.is_admin:
        raise Forbidden("Only a token of scope `admin` reaches what is another owner's.")
    return check_name(asked, "owner")


def owners_of(connection: HTTPConnection) -> str | None:
    """Return whose things are to be listed: as `owner_of` says, or None for everyone's when an admin asks for `*`."""
    if connection.query_params.get("owner") == EVERYONE and principal_of(connection).is_admin:
        return None
    return owner_of(connection)


def reach_of(connection: HTTPConnection) -> str | None:
    """Return within whose things an id is looked for: the caller's, or None, which is everyone's, for an admin."""
    principal = principal_of(connection)
    return None if principal.is_admin else principal.owner


def _may(principal: Principal, scope: str) -> Principal:
    """Return a person's principal that may do this; raises Forbidden."""
    if principal.container_id:
        raise Forbidden("A container's token opens only its agent's channel and blobs.")
    if not principal.may(scope):
        raise Forbidden(
            f"This wants a token of scope `{scope}`; {principal.name!r} has `{principal.scope}`: "
            f"make one with `cellburst token create --scope {scope}`."
        )
    return principal


def _wanted(connection: HTTPConnection) -> str:
    """Return the scope that looking takes, or doing something."""
    only_looks = connection.scope["type"] == "http" and connection.scope["method"] in _LOOKS
    return READ if only_looks else RUN
