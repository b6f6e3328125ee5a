"""ipyparallel: a controller and one engine on this machine, and its `%%px`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ipyparallel


@contextmanager
def engine() -> Iterator[Any]:
    """Start a cluster of one engine; yield a blocking view of it."""
    cluster = ipyparallel.Cluster(n=1, log_level=logging.ERROR)
    client = cluster.start_and_connect_sync()
    try:
        view = client[:]
        view.block = True
        yield view
    finally:
        client.close()
        cluster.stop_cluster_sync()


def first_text(view: Any, code: str) -> float:
    """Run a cell; return the seconds until the first text it printed could be seen here. It ends before this does."""
    began_s = time.perf_counter()
    result = view.execute(code, block=False)
    while not any(result.stdout):
        time.sleep(0.0005)
    took_s = time.perf_counter() - began_s
    result.get()
    return took_s
