"""Two namespaces and their mirrors, as on the two sides of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import pytest
from cloudpickle import cloudpickle

from kernel_bridge.capture.handle import HandleInfo
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import AcceptReport, Export, ReceivedUnit


class Side:
    """One namespace with its mirror."""

    def __init__(self, session: str = "", fetch: Callable[[HandleInfo], Any] | None = None) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.references = ReferenceTable(session=session, fetch=fetch)
        self.mirror = Mirror(self.names, references=self.references)
        self._classes: tuple[Any, Any] = (WeakKeyDictionary(), WeakValueDictionary())

    @contextmanager
    def process(self) -> Iterator[None]:
        """Let this side know its own classes only, as if it were a process of its own."""
        former = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS, cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID
        cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS, cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID = self._classes
        try:
            yield
        finally:
            cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS, cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID = former

    def run(self, code: str) -> None:
        """Execute a cell."""
        exec(code, self.names)

    def all_names(self) -> list[str]:
        """Return every name of the user's."""
        return [name for name in self.names if not name.startswith("__")]


class Bench:
    """A notebook's side, a container's side, and the wire between them."""

    def __init__(self) -> None:
        self.local = Side(fetch=lambda info: self.remote.references.resolve(info.key))
        self.remote = Side(session="ses_1")

    def push(self, *names: str, limit_bytes: int | None = None) -> Export:
        """Send names to the container."""
        return self._move(self.local, self.remote, names, limit_bytes)[0]

    def pull(self, *names: str, limit_bytes: int | None = None) -> Export:
        """Bring names home."""
        return self._move(self.remote, self.local, names, limit_bytes)[0]

    def cell(self, code: str) -> Export:
        """Run a cell remotely with everything sent before and everything brought home after."""
        self.push()
        self.remote.run(code)
        return self.pull()

    def _move(
        self, source: Side, target: Side, names: tuple[str, ...], limit_bytes: int | None
    ) -> tuple[Export, AcceptReport]:
        with source.process():
            export = source.mirror.export(names or source.all_names(), limit_bytes=limit_bytes)
        with target.process():
            report = target.mirror.accept([received(unit) for unit in export.units])
        assert not report.failures, report.failures
        return export, report


def received(unit: Any) -> ReceivedUnit:
    """Return a unit as it arrives: its buffers copied into memory of the receiver."""
    return ReceivedUnit(
        unit.names, bytes(unit.pickle), tuple(memoryview(bytearray(part)) for part in unit.buffers), unit.digests
    )


@pytest.fixture
def bench() -> Bench:
    """Give a fresh pair of sides."""
    return Bench()
