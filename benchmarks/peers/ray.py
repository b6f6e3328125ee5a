"""Ray: one actor on this machine that takes and gives arrays through the object store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import ray

_STORE_BYTES: Final = 2 << 30


class _Keeper:
    """Holds an array, or makes one."""

    def __init__(self) -> None:
        self._array: Any = None

    def take(self, array: Any) -> int:
        self._array = array
        return len(array)

    def make(self, value: float, count: int) -> None:
        import numpy as np  # noqa: PLC0415 - in Ray's worker

        self._array = np.full(count, value)

    def give(self) -> Any:
        return self._array


@contextmanager
def actor() -> Iterator[Any]:
    """Start Ray and one actor; yield the actor."""
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=_STORE_BYTES,
    )
    try:
        keeper = ray.remote(_Keeper).remote()
        ray.get(keeper.make.remote(0.0, 1))
        yield keeper
    finally:
        ray.shutdown()


def wait(reference: Any) -> Any:
    """Wait for a result."""
    return ray.get(reference)


def put(value: Any) -> Any:
    """Put a value into the object store; return its reference."""
    return ray.put(value)
