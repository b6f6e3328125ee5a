"""Write a file of a volume: nobody sees it before all of it is there, and then it takes its place in one step."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from kernel_bridge.errors import Conflict, TooLarge
from kernel_bridge.protocol.content import FILE_LIMIT_BYTES, check_content_digest
from kernel_bridge.protocol.messages import Buffer
from kernel_bridge.sparse import content_map
from remote_runtime.volumes.entries import Entry, entry_of, look
from remote_runtime.volumes.paths import walking

BUFFER_BYTES: Final = 64 << 10  # larger writes pass it by
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class FileWriter:
    """A file on its way into a volume: nobody sees it before `commit`, and then all of it."""

    def __init__(self, root: Path, parts: tuple[str, ...], incoming: Path, *, digest: str = "") -> None:
        self._root = root
        self._parts = parts
        self._digest = digest and check_content_digest(digest)
        self._size_bytes = 0
        self._temporary = incoming / secrets.token_hex(16)
        self._placed = False
        self.executable = False
        self.limit_bytes = FILE_LIMIT_BYTES
        self.why_limited = f"A file in a volume may have {FILE_LIMIT_BYTES >> 40} TiB."
        self._file = os.fdopen(os.open(self._temporary, _NEW, 0o644), "w+b", buffering=BUFFER_BYTES)

    def write(self, *chunks: Buffer) -> None:
        """Take the next bytes; raises TooLarge as soon as the limit is passed."""
        self._size_bytes += sum(map(len, chunks))
        if self._size_bytes > self.limit_bytes:
            raise TooLarge(f"{self.why_limited} This one has more.")
        self._file.writelines(chunks)

    def commit(self) -> Entry:
        """Put the file in its place, over what was there; raises Conflict where a directory is, or at other bytes."""
        self._file.flush()
        if self._digest and content_map(self._file.fileno(), self._size_bytes).digest != self._digest:
            raise Conflict(f"{'/'.join(self._parts)} did not arrive as it was sent: send it again.")
        if self.executable:
            os.fchmod(self._file.fileno(), 0o755)
        self._file.close()
        entry = put_in_place(self._root, self._parts, self._temporary)
        self._placed = True
        return entry

    def discard(self) -> None:
        """Give up. After `commit` this does nothing."""
        with suppress(OSError):
            self._file.close()
        if not self._placed:
            self._temporary.unlink(missing_ok=True)


def put_in_place(root: Path, parts: tuple[str, ...], temporary: Path) -> Entry:
    """Move a finished file to its path in a volume, over what was there; raises Conflict where a directory is."""
    with walking(root) as walk:
        walk.enter(parts[:-1], make=True)
        try:
            # A rename replaces a link itself, so the last component needs no resolving.
            os.rename(temporary, parts[-1], dst_dir_fd=walk.descriptor)
        except (IsADirectoryError, NotADirectoryError):
            raise Conflict(f"{parts[-1]!r} is a directory.") from None
        return entry_of("/".join(parts), look(walk, parts[-1]))
