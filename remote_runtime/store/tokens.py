"""Rows of tokens: only hashes are kept, the token itself is shown once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Final

from sqlalchemy import select, update

from kernel_bridge.errors import BadRequest, NotFound
from kernel_bridge.protocol.ids import new_id
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.rows import CONTAINER_SCOPE, OWNER, Principal, TokenRow
from remote_runtime.store.schema import TOKENS

PREFIX: Final = "cb_"
LENGTH: Final = len(PREFIX) + 43  # 256 random bits in URL-safe base64

_PUBLIC: Final = [column for column in TOKENS.c if column.name != "hash"]


class Tokens:
    """The table `tokens`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, name: str, scope: str = OWNER, expires_at_s: float | None = None, owner: str = OWNER
    ) -> tuple[TokenRow, str]:
        """Make a token; the second of the pair is the token itself, which cannot be had again."""
        plaintext = PREFIX + secrets.token_urlsafe(32)
        return self.register(plaintext, name, scope, expires_at_s, owner), plaintext

    def register(
        self, plaintext: str, name: str, scope: str = OWNER, expires_at_s: float | None = None, owner: str = OWNER
    ) -> TokenRow:
        """Let a token in that was made elsewhere (a file, an operator); the same one twice is the same row."""
        _check(plaintext, scope)
        values: dict[str, Any] = {
            "id": new_id("token"),
            "name": name,
            "owner": owner,
            "scope": scope,
            "hash": _hash(plaintext),
            "created_at_s": self._clock.now(),
            "expires_at_s": expires_at_s,
        }
        with self._database.writing() as connection:
            self._database.insert_new(connection, TOKENS, values)
            found = connection.execute(select(*_PUBLIC).where(TOKENS.c.hash == values["hash"])).mappings().one()
        return row(TokenRow, found)

    def authenticate(self, plaintext: str) -> Principal | None:
        """Return who holds this token; None when it is unknown, revoked or expired."""
        digest = _hash(plaintext)
        with self._database.reading() as connection:
            found = connection.execute(select(TOKENS).where(TOKENS.c.hash == digest)).mappings().one_or_none()
        if found is None or not hmac.compare_digest(found["hash"], digest) or found["revoked_at_s"] is not None:
            return None
        if found["expires_at_s"] is not None and found["expires_at_s"] <= self._clock.now():
            return None
        return Principal(token_id=found["id"], name=found["name"], owner=found["owner"], scope=found["scope"])

    def revoke(self, token_id: str) -> None:
        """Make a token worthless; raises NotFound. Twice is success."""
        with self._database.writing() as connection:
            if not connection.execute(select(TOKENS.c.id).where(TOKENS.c.id == token_id)).first():
                raise NotFound(f"There is no token {token_id[:80]!r}: `cellburst token ls` lists them.")
            good = (TOKENS.c.id == token_id) & TOKENS.c.revoked_at_s.is_(None)
            connection.execute(update(TOKENS).where(good).values(revoked_at_s=self._clock.now()))

    def revoke_scope(self, scope: str) -> int:
        """Make every token of a scope worthless, such as `container:ctr_…` when that container has ended."""
        good = (TOKENS.c.scope == scope) & TOKENS.c.revoked_at_s.is_(None)
        with self._database.writing() as connection:
            return connection.execute(update(TOKENS).where(good).values(revoked_at_s=self._clock.now())).rowcount

    def list(self) -> tuple[TokenRow, ...]:
        """Return people's tokens that have not been revoked, oldest first; containers' own are left out."""
        good = (TOKENS.c.scope == OWNER) & TOKENS.c.revoked_at_s.is_(None)
        statement = select(*_PUBLIC).where(good).order_by(TOKENS.c.created_at_s, TOKENS.c.id)
        with self._database.reading() as connection:
            return tuple(row(TokenRow, found) for found in connection.execute(statement).mappings())


def container_scope(container_id: str) -> str:
    """Return the scope of a container's own token."""
    return CONTAINER_SCOPE + container_id


def _check(plaintext: str, scope: str) -> None:
    if len(plaintext) < 32:
        raise BadRequest("A token wants at least 32 characters: `cellburst token create` makes one.")
    if scope != OWNER and not scope.removeprefix(CONTAINER_SCOPE).startswith("ctr_"):
        raise BadRequest(f"{scope[:80]!r} is no scope: a token is for `owner` or `container:ID`.")


def _hash(plaintext: str) -> str:
    # Plain SHA-256 is right here: the token has 256 random bits, so there is nothing to guess slowly.
    return hashlib.sha256(plaintext.encode("utf-8", "surrogateescape")).hexdigest()
