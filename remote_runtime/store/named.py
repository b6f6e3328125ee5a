"""Rows of secrets and volumes: things a person named. Nobody sees those of another owner."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Final

from sqlalchemy import ColumnElement, delete, select, update

from kernel_bridge.errors import BadRequest, Conflict, NotFound
from kernel_bridge.protocol.scopes import OWNER
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.rows import SecretRow, VolumeRow
from remote_runtime.store.schema import SECRETS, VOLUMES

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


def check_name(name: str, what: str) -> str:
    """Return the name if a volume or secret may have it; raises BadRequest saying what to write."""
    if not _NAME.match(name):
        raise BadRequest(
            f"{name[:80]!r} cannot name a {what}: write up to 64 letters, digits, `_`, `.` or `-`, "
            "a letter or digit first."
        )
    return name


class SecretRows:
    """The table `secrets`, as one owner sees it: values are sealed before they come here."""

    def __init__(self, database: Database, clock: Clock, owner: str = OWNER) -> None:
        self._database = database
        self._clock = clock
        self.owner = owner

    def of(self, owner: str) -> SecretRows:
        """Return the table as another owner sees it."""
        other = copy.copy(self)
        other.owner = owner
        return other

    def put(self, name: str, keys: tuple[str, ...], sealed: str) -> SecretRow:
        """Write a secret or replace the one of that name."""
        now_s = self._clock.now()
        values = {"keys": keys, "sealed": sealed, "updated_at_s": now_s}
        with self._database.writing() as connection:
            fresh = {"owner": self.owner, "name": check_name(name, "secret"), "created_at_s": now_s, **values}
            if not self._database.insert_new(connection, SECRETS, fresh):
                connection.execute(update(SECRETS).where(self._named(name)).values(**values))
        return self.get(name)

    def get(self, name: str) -> SecretRow:
        """Return one secret, sealed; raises NotFound."""
        with self._database.reading() as connection:
            found = connection.execute(select(SECRETS).where(self._named(name))).mappings().one_or_none()
        if found is None:
            raise NotFound(f"There is no secret {name[:80]!r}: make it with `cellburst secret create NAME KEY`.")
        return row(SecretRow, found)

    def list(self) -> tuple[SecretRow, ...]:
        """Return the secrets by name."""
        with self._database.reading() as connection:
            mine = select(SECRETS).where(SECRETS.c.owner == self.owner)
            found = connection.execute(mine.order_by(SECRETS.c.name)).mappings()
            return tuple(row(SecretRow, mapping) for mapping in found)

    def reseal(self, sealed_anew: Callable[[SecretRow], str]) -> int:
        """Replace what is sealed in every owner's rows, in all or in none; return how many there are."""
        with self._database.writing() as connection:
            rows = [row(SecretRow, mapping) for mapping in connection.execute(select(SECRETS)).mappings()]
            for each in rows:
                chosen = (SECRETS.c.owner == each.owner) & (SECRETS.c.name == each.name)
                connection.execute(update(SECRETS).where(chosen).values(sealed=sealed_anew(each)))
        return len(rows)

    def delete(self, name: str) -> None:
        """Forget a secret; raises NotFound."""
        with self._database.writing() as connection:
            if not connection.execute(delete(SECRETS).where(self._named(name))).rowcount:
                raise NotFound(f"There is no secret {name[:80]!r}: `cellburst secret ls` lists them.")

    def _named(self, name: str) -> ColumnElement[bool]:
        return (SECRETS.c.owner == self.owner) & (SECRETS.c.name == check_name(name, "secret"))


class VolumeRows:
    """The table `volumes`, as one owner sees it; the files are the volume service's."""

    def __init__(self, database: Database, clock: Clock, owner: str = OWNER) -> None:
        self._database = database
        self._clock = clock
        self.owner = owner

    def of(self, owner: str) -> VolumeRows:
        """Return the table as another owner sees it."""
        other = copy.copy(self)
        other.owner = owner
        return other

    def create(self, name: str) -> VolumeRow:
        """Name a volume; raises Conflict when there is one of that name."""
        named = {"owner": self.owner, "name": check_name(name, "volume")}
        values = {**named, "created_at_s": self._clock.now(), "size_bytes": 0}
        with self._database.writing() as connection:
            if not self._database.insert_new(connection, VOLUMES, values):
                raise Conflict(f"There is a volume {name!r} already.")
        return self.get(name)

    def get(self, name: str) -> VolumeRow:
        """Return one volume; raises NotFound."""
        with self._database.reading() as connection:
            found = connection.execute(select(VOLUMES).where(self._named(name))).mappings().one_or_none()
        if found is None:
            raise NotFound(f"There is no volume {name[:80]!r}: make it with `cellburst volume create NAME`.")
        return row(VolumeRow, found)

    def list(self) -> tuple[VolumeRow, ...]:
        """Return the volumes by name."""
        with self._database.reading() as connection:
            mine = select(VOLUMES).where(VOLUMES.c.owner == self.owner)
            found = connection.execute(mine.order_by(VOLUMES.c.name)).mappings()
            return tuple(row(VolumeRow, mapping) for mapping in found)

    def rename(self, name: str, new_name: str) -> None:
        """Give a volume another name; raises NotFound, or Conflict when that is taken."""
        check_name(new_name, "volume")
        with self._database.writing() as connection:
            if connection.execute(select(VOLUMES.c.name).where(self._named(new_name))).first() is not None:
                raise Conflict(f"There is a volume {new_name!r} already.")
            if not connection.execute(update(VOLUMES).where(self._named(name)).values(name=new_name)).rowcount:
                raise NotFound(f"There is no volume {name[:80]!r}: `cellburst volume ls` lists them.")

    def set_size(self, name: str, size_bytes: int) -> None:
        """Record what the last look found."""
        with self._database.writing() as connection:
            connection.execute(update(VOLUMES).where(self._named(name)).values(size_bytes=size_bytes))

    def delete(self, name: str) -> None:
        """Forget a volume; raises NotFound."""
        with self._database.writing() as connection:
            if not connection.execute(delete(VOLUMES).where(self._named(name))).rowcount:
                raise NotFound(f"There is no volume {name[:80]!r}: `cellburst volume ls` lists them.")

    def _named(self, name: str) -> ColumnElement[bool]:
        return (VOLUMES.c.owner == self.owner) & (VOLUMES.c.name == check_name(name, "volume"))
