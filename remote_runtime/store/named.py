"""Rows of secrets and volumes: things a person named."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import delete, select, update

from kernel_bridge.errors import BadRequest, Conflict, NotFound
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
    """The table `secrets`: values are sealed before they come here."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, name: str, keys: tuple[str, ...], sealed: str) -> SecretRow:
        """Write a secret or replace the one of that name."""
        now_s = self._clock.now()
        values = {"keys": keys, "sealed": sealed, "updated_at_s": now_s}
        with self._database.writing() as connection:
            fresh = {"name": check_name(name, "secret"), "created_at_s": now_s, **values}
            if not self._database.insert_new(connection, SECRETS, fresh):
                connection.execute(update(SECRETS).where(SECRETS.c.name == name).values(**values))
        return self.get(name)

    def get(self, name: str) -> SecretRow:
        """Return one secret, sealed; raises NotFound."""
        with self._database.reading() as connection:
            found = connection.execute(select(SECRETS).where(SECRETS.c.name == name)).mappings().one_or_none()
        if found is None:
            raise NotFound(f"There is no secret {name[:80]!r}: make it with `cellburst secret create NAME KEY`.")
        return row(SecretRow, found)

    def list(self) -> tuple[SecretRow, ...]:
        """Return the secrets by name."""
        with self._database.reading() as connection:
            found = connection.execute(select(SECRETS).order_by(SECRETS.c.name)).mappings()
            return tuple(row(SecretRow, mapping) for mapping in found)

    def delete(self, name: str) -> None:
        """Forget a secret; raises NotFound."""
        with self._database.writing() as connection:
            if not connection.execute(delete(SECRETS).where(SECRETS.c.name == name)).rowcount:
                raise NotFound(f"There is no secret {name[:80]!r}: `cellburst secret ls` lists them.")


class VolumeRows:
    """The table `volumes`; the files are the volume service's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str) -> VolumeRow:
        """Name a volume; raises Conflict when there is one of that name."""
        values = {"name": check_name(name, "volume"), "created_at_s": self._clock.now(), "size_bytes": 0}
        with self._database.writing() as connection:
            if not self._database.insert_new(connection, VOLUMES, values):
                raise Conflict(f"There is a volume {name!r} already.")
        return self.get(name)

    def get(self, name: str) -> VolumeRow:
        """Return one volume; raises NotFound."""
        with self._database.reading() as connection:
            found = connection.execute(select(VOLUMES).where(VOLUMES.c.name == name)).mappings().one_or_none()
        if found is None:
            raise NotFound(f"There is no volume {name[:80]!r}: make it with `cellburst volume create NAME`.")
        return row(VolumeRow, found)

    def list(self) -> tuple[VolumeRow, ...]:
        """Return the volumes by name."""
        with self._database.reading() as connection:
            found = connection.execute(select(VOLUMES).order_by(VOLUMES.c.name)).mappings()
            return tuple(row(VolumeRow, mapping) for mapping in found)

    def set_size(self, name: str, size_bytes: int) -> None:
        """Record what the last look found."""
        with self._database.writing() as connection:
            connection.execute(update(VOLUMES).where(VOLUMES.c.name == name).values(size_bytes=size_bytes))

    def delete(self, name: str) -> None:
        """Forget a volume; raises NotFound."""
        with self._database.writing() as connection:
            if not connection.execute(delete(VOLUMES).where(VOLUMES.c.name == name)).rowcount:
                raise NotFound(f"There is no volume {name[:80]!r}: `cellburst volume ls` lists them.")
