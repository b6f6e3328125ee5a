"""The store: its repositories in one hand, and one thread to write from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from remote_runtime.clock import Clock
from remote_runtime.store.blobs import Blobs
from remote_runtime.store.cells import Cells
from remote_runtime.store.containers import Containers
from remote_runtime.store.database import Database
from remote_runtime.store.forgetting import Forgetting
from remote_runtime.store.holdings import Holdings
from remote_runtime.store.images import Images
from remote_runtime.store.ledger import Ledger
from remote_runtime.store.named import SecretRows, VolumeRows
from remote_runtime.store.seat import Seat
from remote_runtime.store.sessions import Sessions
from remote_runtime.store.tokens import Tokens
from remote_runtime.store.trouble import TryAgain

_PAUSES_S: Final = (0.02, 0.1, 0.5)  # before a transaction that was rolled back is tried again

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """Everything the control plane remembers. Methods of the repositories are short, synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock, data_dir: Path) -> None:
        self.database = database
        self.seat = Seat(database, clock)
        self._closed = threading.Event()
        self.sessions = Sessions(database, clock)
        self.containers = Containers(database, clock)
        self.cells = Cells(database, clock)
        self.tokens = Tokens(database, clock)
        self.secrets = SecretRows(database, clock)
        self.volumes = VolumeRows(database, clock)
        self.images = Images(database, clock)
        self.ledger = Ledger(database)
        self.holdings = Holdings(database)
        self.forgetting = Forgetting(database)
        self.blobs = Blobs(database, clock, data_dir / "blobs")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @classmethod
    def open(cls, url: str, clock: Clock, data_dir: Path) -> Store:
        """Connect, bring the schema up to date, and make the repositories; files go below `data_dir`."""
        database = Database.connect(url)
        database.migrate(clock.now())
        return cls(database, clock, data_dir)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a repository's method on the store's own thread, after those asked for before it.

        What the database rolled back (a deadlock, a connection that broke) is done again before anyone hears of it.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._tried, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Finish what was asked for and close the connections."""
        self._writer.shutdown(wait=True)
        self._closed.set()
        self.database.close()

    def _tried(self, function: Callable[[], T]) -> T:
        for pause_s in _PAUSES_S:
            try:
                return function()
            except TryAgain:
                if self._closed.wait(pause_s):
                    raise
        return function()


def sqlite_url(path: Path) -> str:
    """Return the URL of a database file."""
    return f"sqlite:///{path}"
