"""Blobs: immutable files named by their BLAKE3 hash, and one row each.

Equal bytes are kept once, whoever put them; but who did not put them here does not learn that they are here.
"""

from __future__ import annotations

import copy
import math
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from blake3 import blake3
from sqlalchemy import delete, select, update

from kernel_bridge.errors import BadRequest, NotFound, TooLarge
from kernel_bridge.protocol.blobs import BLOB_DIGEST_LENGTH, check_digest
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.protocol.scopes import OWNER
from remote_runtime.clock import Clock
from remote_runtime.store.database import Database, row
from remote_runtime.store.holdings import BLOB, held, hold, let_go
from remote_runtime.store.rows import BlobRow
from remote_runtime.store.schema import BLOBS

USED_WITHIN_S: Final = 3600.0  # how exact `used_at_s` is


class Blobs:
    """The blobs of one data directory, as one owner sees them: a row exists only when its file is whole."""

    def __init__(self, database: Database, clock: Clock, directory: Path) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._owner = OWNER
        self._together = threading.Lock()  # a blob's row and its file come and go as one
        self._incoming = directory / "incoming"
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left_over in self._incoming.iterdir():  # uploads that an earlier process did not finish
            left_over.unlink(missing_ok=True)

    def of(self, owner: str) -> Blobs:
        """Return the blobs as another owner sees them."""
        other = copy.copy(self)
        other._owner = owner
        return other

    def get(self, digest: str) -> BlobRow:
        """Return one blob's row; raises NotFound if this owner never put it, BadRequest for what is not a digest."""
        with self._database.reading() as connection:
            mine = held(self._owner, BLOB, BLOBS.c.digest)
            statement = select(BLOBS).where((BLOBS.c.digest == _digest(digest)) & mine)
            found = connection.execute(statement).mappings().one_or_none()
        if found is None:
            raise NotFound(f"There is no blob {digest}.")
        return row(BlobRow, found)

    def missing(self, digests: Iterable[str]) -> tuple[str, ...]:
        """Return those that this owner never put here, in the order asked; the others count as used now."""
        asked = tuple(dict.fromkeys(map(_digest, digests)))
        here: dict[str, float] = {}
        with self._database.reading() as connection:
            for part in _parts(asked):
                mine = BLOBS.c.digest.in_(part) & held(self._owner, BLOB, BLOBS.c.digest)
                found = connection.execute(select(BLOBS.c.digest, BLOBS.c.used_at_s).where(mine))
                here.update((digest, used_at_s) for digest, used_at_s in found)
        # Kept to the hour: asking comes before every cell and must not wait for a writer.
        stale = [digest for digest, used_at_s in here.items() if used_at_s < self._clock.now() - USED_WITHIN_S]
        gone = frozenset(stale) - self._used(stale)  # evicted between the look and now
        return tuple(digest for digest in asked if digest not in here or digest in gone)

    def path(self, digest: str) -> Path:
        """Return where the blob's file is, or would be."""
        return self._directory / digest[:2] / _digest(digest)

    def open(self, digest: str) -> IO[bytes]:
        """Open a blob for reading, whoever put it: ask `get` first. Raises NotFound."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError:
            raise NotFound(f"There is no blob {digest}.") from None

    def incoming(self, digest: str, limit_bytes: int = DEFAULTS.blob_limit_bytes) -> Incoming:
        """Begin to receive a blob; nobody sees it until `commit`."""
        return Incoming(self, _digest(digest), limit_bytes, self._incoming)

    def put(self, data: bytes) -> str:
        """Store bytes that are here already; return their digest."""
        digest = blake3(data).hexdigest()
        incoming = self.incoming(digest)
        incoming.write(data)
        incoming.commit()
        return digest

    def unused_since(self, before_s: float) -> tuple[BlobRow, ...]:
        """Return blobs nobody has used since then, longest unused first."""
        statement = select(BLOBS).where(BLOBS.c.used_at_s < before_s).order_by(BLOBS.c.used_at_s, BLOBS.c.digest)
        with self._database.reading() as connection:
            return tuple(row(BlobRow, found) for found in connection.execute(statement).mappings())

    def delete(self, digest: str, unless_used_since_s: float = math.inf) -> bool:
        """Let a blob go, for everyone, unless it was used after that; tell whether it went."""
        unused = (BLOBS.c.digest == _digest(digest)) & (BLOBS.c.used_at_s <= unless_used_since_s)
        with self._together:
            with self._database.writing() as connection:
                if not connection.execute(delete(BLOBS).where(unused)).rowcount:
                    return False
                let_go(connection, BLOB, digest)
            self.path(digest).unlink(missing_ok=True)
        return True

    def sweep(self, before_s: float) -> int:
        """Remove files older than that which have no row: an upload that ended between the two. Return their bytes."""
        swept = 0
        for path in [path for path in self._directory.glob("[0-9a-f][0-9a-f]/*") if path.stat().st_mtime < before_s]:
            with self._together, self._database.reading() as connection:
                if connection.execute(select(BLOBS.c.digest).where(BLOBS.c.digest == path.name)).first() is None:
                    swept += path.stat().st_size
                    path.unlink()
        return swept

    def _used(self, digests: Sequence[str]) -> frozenset[str]:
        """Note that these are used now; return those that are there."""
        found: set[str] = set()
        if digests:
            with self._database.writing() as connection:
                for part in _parts(digests):
                    used = update(BLOBS).where(BLOBS.c.digest.in_(part)).values(used_at_s=self._clock.now())
                    found.update(connection.execute(used.returning(BLOBS.c.digest)).scalars())
        return frozenset(found)

    def _keep(self, digest: str, size_bytes: int, temporary: Path) -> BlobRow:
        """Give a whole file its name, then its row: a crash between the two loses nothing but the upload."""
        target = self.path(digest)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        now_s = self._clock.now()
        values = {"digest": digest, "size_bytes": size_bytes, "created_at_s": now_s, "used_at_s": now_s}
        with self._together:
            temporary.replace(target)
            with self._database.writing() as connection:
                if not self._database.insert_new(connection, BLOBS, values):
                    connection.execute(update(BLOBS).where(BLOBS.c.digest == digest).values(used_at_s=now_s))
                hold(self._database, connection, self._owner, BLOB, digest)
        return self.get(digest)


class Incoming:
    """A blob on its way in: hashed while it arrives, refused when it is too large or is not what it says."""

    def __init__(self, blobs: Blobs, digest: str, limit_bytes: int, directory: Path) -> None:
        self._blobs = blobs
        self._digest = digest
        self._limit_bytes = limit_bytes
        self._hasher = blake3()
        self._size_bytes = 0
        descriptor, path = tempfile.mkstemp(dir=directory)
        self._path = Path(path)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, *chunks: Buffer) -> None:
        """Take the next bytes; raises TooLarge as soon as the limit is passed."""
        for chunk in chunks:
            self._size_bytes += len(chunk)
            if self._size_bytes > self._limit_bytes:
                raise TooLarge(f"A blob may have {self._limit_bytes} bytes; this one has more.")
            self._hasher.update(chunk)
            _write_all(self._file, chunk)

    def commit(self) -> BlobRow:
        """Check the hash and make the blob visible; raises BadRequest when the bytes are others."""
        self._file.close()
        found = self._hasher.hexdigest()
        if found != self._digest:
            self.discard()
            raise BadRequest(f"The bytes sent as blob {self._digest} have the digest {found}: send them again.")
        return self._blobs._keep(self._digest, self._size_bytes, self._path)

    def discard(self) -> None:
        """Give up. After `commit` this does nothing."""
        self._file.close()
        with suppress(FileNotFoundError):
            self._path.unlink()


def _parts(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a long list into what one statement may carry."""
    return (digests[start : start + 500] for start in range(0, len(digests), 500))


def _write_all(file: IO[bytes], data: Buffer) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _digest(text: str) -> str:
    if len(check_digest(text)) != BLOB_DIGEST_LENGTH:
        raise BadRequest(f"{text!r} is not the digest of a blob: one has {BLOB_DIGEST_LENGTH} hexadecimal digits.")
    return text
