"""What never travels, in plain words, and what travels in its place."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from kernel_bridge.errors import CannotTravel


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value that stays where it is: what it is called, and what to do instead."""

    told: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.told} ({self.instead})" if self.instead else self.told


class StaysHere(CannotTravel):
    """A value of a kind that never travels."""

    def __init__(self, told: Kind | str) -> None:
        super().__init__(f"{told} cannot travel")
        self.told = str(told)


class NotData(StaysHere):
    """A value that is more than data, where only data is taken."""

    def __str__(self) -> str:
        return self.told


_LIST: Final = "a list made of it travels"
_HERE: Final = "make it where it is used"
_CONNECT: Final = "connect where it is used"
_FILE: Final = Kind("an open file", "its path travels: open it where it is used")
_POOL: Final = Kind("a pool of workers", _HERE)
_DATABASE: Final = Kind("a database connection", _CONNECT)
_HTTP: Final = Kind("an HTTP client", _HERE)
_TASK: Final = Kind("a task of an event loop", "await it; its result travels")
_WEAK: Final = Kind("a weak reference", "what it refers to travels")
_CONTEXT: Final = Kind("a context variable", "its value travels")

# Types by their qualified name, so that none of their modules need be imported. Subclasses count.
_KINDS: Final[dict[str, Kind]] = {
    "builtins.generator": Kind("a generator", _LIST),
    "builtins.async_generator": Kind("an async generator", _LIST),
    "builtins.coroutine": Kind("a coroutine", "await it; its result travels"),
    "builtins.frame": Kind("a frame"),
    "builtins.traceback": Kind("a traceback", "its text travels: traceback.format_tb"),
    "builtins.memoryview": Kind("a memoryview", "bytes made of it travel"),
    "builtins.dict_keys": Kind("a view of a dict's keys", _LIST),
    "builtins.dict_values": Kind("a view of a dict's values", _LIST),
    "builtins.dict_items": Kind("a view of a dict's items", _LIST),
    "builtins.PyCapsule": Kind("a pointer of a C extension"),
    "builtins.ReferenceType": _WEAK,
    "weakref.ReferenceType": _WEAK,
    "weakref.ProxyType": _WEAK,
    "weakref.CallableProxyType": _WEAK,
    "weakref.finalize": Kind("a finalizer"),
    "_contextvars.ContextVar": _CONTEXT,
    "_contextvars.Context": _CONTEXT,
    "_contextvars.Token": _CONTEXT,
    "_csv.reader": Kind("a reader of rows", _LIST),
    "_csv.Reader": Kind("a reader of rows", _LIST),
    "_csv.writer": Kind("a writer of rows", _HERE),
    "_csv.Writer": Kind("a writer of rows", _HERE),
    "_thread._local": Kind("thread-local data", _HERE),
    "threading.Thread": Kind("a thread", "start it where it is used"),
    "_queue.SimpleQueue": Kind("a SimpleQueue", "a queue.Queue travels"),
    "concurrent.futures._base.Executor": _POOL,
    "concurrent.futures._base.Future": Kind("a future", "its result travels"),
    "multiprocessing.pool.Pool": _POOL,
    "multiprocessing.queues.Queue": Kind("a queue between processes", _HERE),
    "multiprocessing.queues.SimpleQueue": Kind("a queue between processes", _HERE),
    "multiprocessing.synchronize.SemLock": Kind("a lock between processes", _HERE),
    "multiprocessing.process.BaseProcess": Kind("a process", "start it where it is used"),
    "multiprocessing.connection._ConnectionBase": Kind("a connection to a process", _HERE),
    "multiprocessing.managers.BaseProxy": Kind("a proxy of another process", _HERE),
    "_asyncio.Future": _TASK,
    "asyncio.futures.Future": _TASK,
    "asyncio.events.AbstractEventLoop": Kind("an event loop"),
    "socket.socket": Kind("a socket", _CONNECT),
    "_ssl._SSLContext": Kind("a TLS context", _HERE),
    "subprocess.Popen": Kind("a running process", "start it where it is used"),
    "mmap.mmap": Kind("a memory map", "bytes made of it travel"),
    "tempfile.TemporaryDirectory": Kind("a temporary directory", _HERE),
    "tempfile._TemporaryFileWrapper": Kind("a temporary file", _HERE),
    "tempfile.SpooledTemporaryFile": Kind("a temporary file", _HERE),
    "_ctypes._Pointer": Kind("a C pointer"),
    "_ctypes.CFuncPtr": Kind("a function of a C library", "load it where it is used"),
    "ctypes.CDLL": Kind("a loaded C library", "load it where it is used"),
    "sqlite3.Connection": _DATABASE,
    "sqlite3.Cursor": Kind("a database cursor", _CONNECT),
    "sqlalchemy.engine.base.Engine": Kind("a database engine", "its URL travels: make it where it is used"),
    "sqlalchemy.engine.base.Connection": _DATABASE,
    "sqlalchemy.orm.session.Session": Kind("a database session", _CONNECT),
    "psycopg._connection_base.BaseConnection": _DATABASE,
    "psycopg2.extensions.connection": _DATABASE,
    "duckdb.DuckDBPyConnection": _DATABASE,
    "_duckdb.DuckDBPyConnection": _DATABASE,
    "pymongo.mongo_client.MongoClient": _DATABASE,
    "redis.client.Redis": _DATABASE,
    "httpx.Client": _HTTP,
    "httpx.AsyncClient": _HTTP,
    "httpx2.Client": _HTTP,
    "httpx2.AsyncClient": _HTTP,
    "aiohttp.client.ClientSession": _HTTP,
    "botocore.client.BaseClient": Kind("a client of a cloud service", _HERE),
    "pyspark.sql.session.SparkSession": Kind("a Spark session", _CONNECT),
    "distributed.client.Client": Kind("a Dask client", _CONNECT),
    "tqdm.std.tqdm": Kind("a progress bar in mid-loop", "make it where the loop is"),
    "torch.utils.data.dataloader._BaseDataLoaderIter": Kind("a DataLoader in mid-loop", "the DataLoader travels"),
}


def kind_of(value: object) -> Kind | None:
    """Return what a value is, for the kinds that never travel."""
    return kind_of_type(type(value))


def kind_of_type(kind: type) -> Kind | None:
    """Return what values of a type are, for the kinds that never travel."""
    for base in kind.__mro__:
        found = _KINDS.get(f"{base.__module__}.{base.__qualname__}")
        if found is not None:
            return found
    return _FILE if issubclass(kind, io.IOBase) and not issubclass(kind, (io.StringIO, io.BytesIO)) else None
