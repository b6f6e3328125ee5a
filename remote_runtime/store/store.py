"""The store: its repositories in one hand, and one thread to write from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from remote_runtime.clock import Clock
from remote_runtime.store.blobs import Blobs
from remote_runtime.store.cells import Cells
from remote_runtime.store.containers import Containers
from remote_runtime.store.database import Database
from remote_runtime.store.images import Images
from remote_runtime.store.ledger import Ledger
from remote_runtime.store.named import SecretRows, VolumeRows
from remote_runtime.store.sessions import Sessions
from remote_runtime.store.tokens import Tokens

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """Everything the control plane remembers. Methods of the repositories are short, synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock, data_dir: Path) -> None:
        self.database = database
        self.sessions = Sessions(database, clock)
        self.containers = Containers(database, clock)
        self.cells = Cells(database, clock)
        self.tokens = Tokens(database, clock)
        self.secrets = SecretRows(database, clock)
        self.volumes = VolumeRows(database, clock)
        self.images = Images(database, clock)
        self.ledger = Ledger(database)
        self.blobs = Blobs(database, clock, data_dir / "blobs")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @classmethod
    def open(cls, url: str, clock: Clock, data_dir: Path) -> Store:
        """Connect, bring the schema up to date, and make the repositories; files go below `data_dir`."""
        database = Database.connect(url)
        database.migrate(clock.now())
        return cls(database, clock, data_dir)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a repository's method on the store's own thread, after those asked for before it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Finish what was asked for and close the connections."""
        self._writer.shutdown(wait=True)
        self.database.close()


def sqlite_url(path: Path) -> str:
    """Return the URL of a database file."""
    return f"sqlite:///{path}"
