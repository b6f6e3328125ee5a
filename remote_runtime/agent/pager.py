"""Names, files and packages that the notebook has and the container lacks, fetched on first touch."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from kernel_bridge.capture.units import AcceptReport
from kernel_bridge.codecs.units import ReceivedUnit
from kernel_bridge.codecs.wire_units import Source, unpack_unit
from kernel_bridge.errors import CannotTravel
from kernel_bridge.protocol.blobs import UnitHead
from kernel_bridge.protocol.cells import ManifestChange
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.messages import STATE, Buffer, Message, new_header
from kernel_bridge.protocol.wire import from_wire
from remote_runtime.agent.pipe import Pipe
from remote_runtime.agent.saved import SavedState

Accept = Callable[[Sequence[ReceivedUnit]], AcceptReport]


@dataclass(slots=True)
class Paged:
    """What one cell fetched."""

    names: list[str] = field(default_factory=list)
    bytes: int = 0


class Pager:
    """Knows which names the notebook or the saved state can deliver, and delivers them."""

    def __init__(self, pipe: Pipe, source: Source, accept: Accept, saved: SavedState) -> None:
        self._pipe = pipe
        self._source = source
        self._accept = accept
        self._saved = saved
        self._available: set[str] = set()
        self._refused: dict[str, str] = {}
        self._arriving: dict[str, ReceivedUnit] = {}  # here, but not unpickled yet
        # Held while units are brought home or sent: a thread that a cell left behind may page meanwhile.
        self.lock = threading.RLock()
        os.register_at_fork(after_in_child=self._forked)
        self.parent: dict[str, Any] = {}  # the running cell's header
        self.cell_runs = False
        self.paged = Paged()
        self.dropped: set[str] = set()  # deleted by the running cell before they were fetched

    def names(self) -> set[str]:
        """Return the names that may be fetched now."""
        return self._available | self._saved.names | self._arriving.keys()

    def has(self, name: object) -> bool:
        """Tell whether a name may be fetched now."""
        return name in self._available or name in self._saved.names or name in self._arriving

    def begin(self, parent: dict[str, Any], manifest: ManifestChange) -> None:
        """Take over a cell's manifest."""
        self.parent = parent
        self.paged = Paged()
        self.dropped.clear()
        if manifest.full:
            self._available.clear()
            self._refused.clear()
        self._available.update(manifest.available)
        self._available.difference_update(manifest.gone)
        self._saved.forget((*manifest.gone, *manifest.available))
        for name in manifest.available:
            self._refused.pop(name, None)

    def drop(self, name: str) -> None:
        """Note that a name was deleted here: it is not fetched any more, and the notebook is told."""
        self.delivered([name])
        self._arriving.pop(name, None)
        self.dropped.add(name)

    def delivered(self, names: Sequence[str]) -> None:
        """Note that these names have a value here now."""
        self._available.difference_update(names)
        self._saved.forget(names)

    def refuse(self, names: Sequence[str], reason: str) -> None:
        """Note that these names are known and cannot be had; whoever touches one is told why."""
        self._available.update(names)
        self._refused |= dict.fromkeys(names, reason)

    def page(self, name: str) -> bool:
        """Fetch one name; False when there is none after all. Raises CannotTravel with the notebook's reason."""
        with self._alone(name):
            if name in self._arriving:  # what is unpickled now runs code that reads what came with it
                for failure in self._accept_arriving(self._arriving[name]).failures:
                    raise CannotTravel(failure.reason)
                return True
            if name in self._saved.names:
                return self._saved.restore(name)
            if name not in self._available:
                return True  # another thread was quicker
            if name in self._refused:
                raise CannotTravel(self._refused[name])
            return self._ask(name)

    def restore_all(self) -> None:
        """Bring everything saved back, for a cell that looks at the namespace as a whole."""
        with self.lock:
            for name in sorted(self._saved.names):
                with suppress(CannotTravel):  # the code that touches it is told why
                    self._saved.restore(name)

    def source_of(self, name: str) -> tuple[str, int]:
        """Return the text and number of a cell of the notebook by its file name; empty when not to be had now."""
        reply = self.ask("source_request", {"name": name}) if self.cell_runs else None
        content = reply.content if reply is not None else {}
        return str(content.get("text", "")), int(content.get("number", 0))

    def ask(self, msg_type: str, content: dict[str, Any]) -> Message | None:
        """Ask the notebook something; None when nobody answers.

        While a cell runs the notebook waits for us, and we for it, whatever the connection does meanwhile. Between
        cells it answers when it can, so a thread that a cell left behind waits for a while only.
        """
        message = Message(STATE, new_header(msg_type, ""), self.parent, {}, content)
        return self._pipe.request(message, None if self.cell_runs else DEFAULTS.page_timeout_s)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        # Between cells not for ever: the main thread may hold the lock and wait for the very thread that asks.
        while not self.lock.acquire(timeout=DEFAULTS.page_timeout_s):
            if not self.cell_runs:
                raise NameError(f"name {name!r} could not be fetched: others were, for {DEFAULTS.page_timeout_s:g} s")
        try:
            yield
        finally:
            self.lock.release()

    def _forked(self) -> None:
        self.lock = threading.RLock()

    def _ask(self, name: str) -> bool:
        reply = self.ask("page_request", {"names": [name]})
        if reply is None:
            limit_s = DEFAULTS.page_timeout_s
            raise NameError(f"name {name!r} is in the notebook, which did not answer within {limit_s:g} s")
        refused = reply.content.get("refused", {})
        self._refused.update(refused)
        if name in refused:
            raise CannotTravel(refused[name])
        report = self.take(reply.content.get("units", ()), reply.buffers)
        self._available.difference_update(reply.content.get("missing", ()))
        for failure in report.failures:
            raise CannotTravel(failure.reason)
        return name in report.bound

    def take(self, heads: Sequence[Any], inline: Sequence[Buffer]) -> AcceptReport:
        """Bring units home and bind their names."""
        units = [unpack_unit(from_wire(UnitHead, head), inline, self._source) for head in heads]
        self._arriving |= {name: unit for unit in units for name in unit.names}
        try:
            waiting = self._arriving.keys()
            reports = [self._accept_arriving(unit) for unit in units if not waiting.isdisjoint(unit.names)]
        finally:
            for name in (name for unit in units for name in unit.names):
                self._arriving.pop(name, None)
        names = [name for unit in units for name in unit.names]
        self.delivered(names)
        self.paged.names += names
        self.paged.bytes += sum(len(unit.pickle) + sum(map(len, unit.buffers)) for unit in units)
        return AcceptReport(
            tuple(chain.from_iterable(report.bound for report in reports)),
            tuple(chain.from_iterable(report.updated_in_place for report in reports)),
            tuple(chain.from_iterable(report.failures for report in reports)),
        )

    def _accept_arriving(self, unit: ReceivedUnit) -> AcceptReport:
        for name in unit.names:
            self._arriving.pop(name, None)
        return self._accept([unit])
