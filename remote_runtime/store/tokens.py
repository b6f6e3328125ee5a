"""Rows of tokens: only hashes are kept, the token itself is shown once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, select, update

from kernel_bridge.errors import BadRequest, Conflict, NotFound
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.scopes import CONTAINER_SCOPE, OWNER, SCOPES
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.named import check_name
from remote_runtime.store.rows import Principal, TokenRow
from remote_runtime.store.schema import TOKENS

PREFIX: Final = "cb_"
LENGTH: Final = len(PREFIX) + 43  # 256 random bits in URL-safe base64
NAME_LIMIT_CHARS: Final = 100

_PUBLIC: Final = [column for column in TOKENS.c if column.name != "hash"]


class Tokens:
    """The table `tokens`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._used: dict[str, float] = {}  # when each was last seen; written now and then, never while somebody waits

    def create(
        self, name: str, scope: str = OWNER, expires_at_s: float | None = None, owner: str = OWNER
    ) -> tuple[TokenRow, str]:
        """Make a token; the second of the pair is the token itself, which cannot be had again.

        Without a name it is called like its id. Raises Conflict when its owner has a good token of that name.
        """
        plaintext = PREFIX + secrets.token_urlsafe(32)
        values = self._values(plaintext, name, scope, expires_at_s, owner)
        with self._database.writing() as connection:
            self._free_name(connection, owner, values["name"])
            if not self._database.insert_new(connection, TOKENS, values):
                raise Conflict(f"{owner} has a token named {name!r} already: name this one otherwise, or revoke that.")
            return _of_hash(connection, values["hash"]), plaintext

    def register(
        self, plaintext: str, name: str, scope: str = OWNER, expires_at_s: float | None = None, owner: str = OWNER
    ) -> TokenRow:
        """Let a token in that was made elsewhere (a file, an operator); the same one twice is the same row."""
        values = self._values(plaintext, name, scope, expires_at_s, owner)
        known = TOKENS.c.hash == values["hash"]
        with self._database.writing() as connection:
            if connection.execute(select(TOKENS.c.id).where(known)).first() is None:
                self._free_name(connection, owner, values["name"])
                if not self._database.insert_new(connection, TOKENS, values):  # another process has that name
                    connection.execute(TOKENS.insert().values(**values | {"name": f"{name} {values['id']}"}))
            return _of_hash(connection, values["hash"])

    def authenticate(self, plaintext: str) -> Principal | None:
        """Return who holds this token; None when it is unknown, revoked or expired."""
        digest = _hash(plaintext)
        with self._database.reading() as connection:
            found = connection.execute(select(TOKENS).where(TOKENS.c.hash == digest)).mappings().one_or_none()
        if found is None or not hmac.compare_digest(found["hash"], digest) or found["revoked_at_s"] is not None:
            return None
        now_s = self._clock.now()
        if found["expires_at_s"] is not None and found["expires_at_s"] <= now_s:
            return None
        self._used[found["id"]] = now_s
        return Principal(token_id=found["id"], name=found["name"], owner=found["owner"], scope=found["scope"])

    def why_worthless(self, token_ids: Collection[str]) -> dict[str, str]:
        """Return those of the tokens that let nobody in any more, and why: `revoked` or `expired`."""
        columns = (TOKENS.c.id, TOKENS.c.revoked_at_s, TOKENS.c.expires_at_s)
        with self._database.reading() as connection:
            found = connection.execute(select(*columns).where(TOKENS.c.id.in_(token_ids))).all()
        now_s = self._clock.now()
        good = {id_ for id_, revoked, expires in found if revoked is None and (expires is None or expires > now_s)}
        expired = {id_ for id_, revoked, _ in found if revoked is None} - good
        return {id_: "expired" if id_ in expired else "revoked" for id_ in token_ids if id_ not in good}

    def write_used(self) -> None:
        """Write down when tokens were last used, as far as it is not written yet."""
        used, self._used = self._used, {}
        if used:
            with self._database.writing() as connection:
                for token_id, at_s in dict(used).items():  # somebody may just have taken hold of it to write
                    connection.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(last_used_at_s=at_s))

    def revoke(self, token_id: str, owner: str | None = None) -> None:
        """Make a person's token worthless; raises NotFound, also for one of another owner. Twice is success."""
        meant = (TOKENS.c.id == token_id) & TOKENS.c.scope.in_(SCOPES)
        if owner is not None:
            meant &= TOKENS.c.owner == owner
        with self._database.writing() as connection:
            if not connection.execute(select(TOKENS.c.id).where(meant)).first():
                raise NotFound(f"There is no token {token_id[:80]!r}: `cellburst token ls` lists them.")
            good = meant & TOKENS.c.revoked_at_s.is_(None)
            connection.execute(update(TOKENS).where(good).values(revoked_at_s=self._clock.now()))

    def revoke_scope(self, scope: str) -> int:
        """Make every token of a scope worthless, such as `container:ctr_…` when that container has ended."""
        good = (TOKENS.c.scope == scope) & TOKENS.c.revoked_at_s.is_(None)
        with self._database.writing() as connection:
            return connection.execute(update(TOKENS).where(good).values(revoked_at_s=self._clock.now())).rowcount

    def list(self, owner: str | None = None) -> tuple[TokenRow, ...]:
        """Return people's tokens that were not revoked, oldest first, of one owner or of all; not containers'."""
        self.write_used()
        good = TOKENS.c.scope.in_(SCOPES) & TOKENS.c.revoked_at_s.is_(None)
        statement = select(*_PUBLIC).where(good).order_by(TOKENS.c.created_at_s, TOKENS.c.id)
        if owner is not None:
            statement = statement.where(TOKENS.c.owner == owner)
        with self._database.reading() as connection:
            return tuple(row(TokenRow, found) for found in connection.execute(statement).mappings())

    def _values(self, plaintext: str, name: str, scope: str, expires_at_s: float | None, owner: str) -> dict[str, Any]:
        _check(plaintext, name, scope, owner)
        token_id = new_id("token")
        return {
            "id": token_id,
            "name": name or token_id,
            "owner": owner,
            "scope": scope,
            "hash": _hash(plaintext),
            "created_at_s": self._clock.now(),
            "expires_at_s": expires_at_s,
        }

    def _free_name(self, connection: Connection, owner: str, name: str) -> None:
        """An expired token holds its name no longer."""
        now_s = self._clock.now()
        holder = (TOKENS.c.owner == owner) & (TOKENS.c.name == name) & TOKENS.c.revoked_at_s.is_(None)
        connection.execute(update(TOKENS).where(holder & (TOKENS.c.expires_at_s <= now_s)).values(revoked_at_s=now_s))


def container_scope(container_id: str) -> str:
    """Return the scope of a container's own token."""
    return CONTAINER_SCOPE + container_id


def _of_hash(connection: Connection, digest: str) -> TokenRow:
    return row(TokenRow, connection.execute(select(*_PUBLIC).where(TOKENS.c.hash == digest)).mappings().one())


def _check(plaintext: str, name: str, scope: str, owner: str) -> None:
    if len(plaintext) < 32:
        raise BadRequest("A token wants at least 32 characters: `cellburst token create` makes one.")
    if scope not in SCOPES and not scope.removeprefix(CONTAINER_SCOPE).startswith("ctr_"):
        raise BadRequest(f"{scope[:80]!r} is no scope: a token is for {', '.join(f'`{known}`' for known in SCOPES)}.")
    if len(name) > NAME_LIMIT_CHARS or not name.isprintable():
        raise BadRequest(f"A token's name is one line of up to {NAME_LIMIT_CHARS} characters.")
    check_name(owner, "token's owner")


def _hash(plaintext: str) -> str:
    # Plain SHA-256 is right here: the token has 256 random bits, so there is nothing to guess slowly.
    return hashlib.sha256(plaintext.encode("utf-8", "surrogateescape")).hexdigest()
