"""What the control plane remembers: SQLite or PostgreSQL rows, and files named by their hash. The only SQL there is."""

from remote_runtime.store.database import SCHEMA
from remote_runtime.store.store import Store, sqlite_url

__all__ = ["SCHEMA", "Store", "sqlite_url"]
