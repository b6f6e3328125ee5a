"""State kept over idleness, by value: written when a container hibernates, read back name by name when it wakes.

A state directory holds `index.json` and, for every co-variable, its pickle and its buffers. A new save is written
beside the old one and takes its place in one rename, so that a container killed meanwhile leaves the last whole one.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import Export, PackedUnit, ReceivedUnit
from kernel_bridge.errors import CannotTravel
from kernel_bridge.protocol.wire import from_wire, to_wire
from remote_runtime.agent.namespace import Namespace

HIDDEN: Final = "_cellburst_kept_"  # namespace names under which handles' values are saved


@dataclass(slots=True)
class Entry:
    """One saved co-variable."""

    names: list[str]
    shared: list[str]  # what the notebook holds too, in this very form
    pickle: str
    buffers: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    handles: dict[str, dict[str, str]] = field(default_factory=dict)  # hidden name -> key, name, reason
    outdated: list[str] = field(default_factory=list)  # names bound anew since


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What was kept, and what could not be."""

    names: tuple[str, ...]
    lost: dict[str, str]
    size_bytes: int


class SavedState:
    """The saved state of one session, restored as its names are touched.

    `saving` makes the table of what is saved as a reference; `why_not` says of a unit why it must not lie on a disk.
    """

    def __init__(
        self,
        directory: str,
        namespace: Namespace,
        mirror: Mirror,
        references: ReferenceTable,
        why_not: Callable[[PackedUnit], str] | None = None,
        saving: Callable[[], ReferenceTable] = ReferenceTable,
    ) -> None:
        self._why_not = why_not
        self._saving = saving
        self._directory = Path(directory) if directory else None
        self._namespace = namespace
        self._mirror = mirror
        self._references = references
        self._entries: list[Entry] = []
        self.names: set[str] = set()

    def load(self) -> bool:
        """Read the index; False when there is no state."""
        old = self._current.with_name("old")
        if self._directory and old.exists() and not self._current.exists():  # it ended between two renames
            old.rename(self._current)
        index = self._current / "index.json" if self._directory else None
        if index is None or not index.is_file():
            return False
        self._entries = [from_wire(Entry, entry) for entry in json.loads(index.read_text())["entries"]]
        self._note_names()
        return True

    def forget(self, names: Iterable[str]) -> None:
        """Note that these names have another value now; what was saved under them is not bound any more."""
        outdated = self.names.intersection(names)
        for entry in self._entries if outdated else ():
            entry.outdated += [name for name in entry.names if name in outdated]
        self.names -= outdated

    def restore(self, name: str) -> bool:
        """Bind the co-variable that holds this name; False when there is none."""
        entry = next((entry for entry in self._entries if name in entry.names and name not in entry.outdated), None)
        if entry is None:
            return False
        self._bind(entry)
        return dict.__contains__(self._namespace, name)

    def restore_handle(self, key: str) -> bool:
        """Bring back the value of a handle; False when it was not saved."""
        for entry in self._entries:
            if any(handle["key"] == key for handle in entry.handles.values()):
                self._bind(entry)
                return True
        return False

    def save(self, names: Sequence[str]) -> SaveReport:
        """Write these names and all handles' values, and what was never restored, as the new state."""
        if self._directory is None:
            return SaveReport((), dict.fromkeys(names, "this container has no place to keep state"), 0)
        target = self._directory / "next"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        handles = self._bind_hidden()
        try:
            # A mirror that knows nothing exports everything, handles' values included.
            scratch = Mirror(self._namespace, references=self._saving(), why_not=self._why_not)
            export = scratch.export([*names, *handles])
        finally:
            for hidden in handles:
                dict.pop(self._namespace, hidden, None)
        entries = [self._write(target, number, unit, handles) for number, unit in enumerate(export.units)]
        kept = [self._carry(target, entry) for entry in self._entries]
        (target / "index.json").write_text(json.dumps({"entries": to_wire([*entries, *kept])}))
        size_bytes = sum(file.stat().st_size for file in target.iterdir())
        self._take_over(target)
        self._entries = kept
        saved = _names([*entries, *kept])
        return SaveReport(tuple(sorted(saved)), _lost(export, handles), size_bytes)

    @property
    def _current(self) -> Path:
        return (self._directory or Path()) / "current"

    def _bind_hidden(self) -> dict[str, dict[str, str]]:
        handles: dict[str, dict[str, str]] = {}
        for key, info in self._references.kept().items():
            hidden = f"{HIDDEN}{len(handles)}"
            dict.__setitem__(self._namespace, hidden, self._references.resolve(key))
            handles[hidden] = {"key": key, "name": info.name, "reason": info.reason}
        return handles

    def _write(self, target: Path, number: int, unit: PackedUnit, handles: dict[str, dict[str, str]]) -> Entry:
        entry = Entry(
            names=list(unit.names),
            shared=[name for name in unit.names if self._mirror.is_current(name)],
            pickle=f"{number}.pickle",
            buffers=[f"{number}-{index}.buffer" for index in range(len(unit.buffers))],
            digests=list(unit.digests),
            handles={name: handles[name] for name in unit.names if name in handles},
        )
        (target / entry.pickle).write_bytes(unit.pickle)
        for name, buffer in zip(entry.buffers, unit.buffers, strict=True):
            (target / name).write_bytes(memoryview(buffer).cast("B"))
        return entry

    def _carry(self, target: Path, entry: Entry) -> Entry:
        """Hand an entry that was never restored on to the next state, without reading it."""
        moved = Entry(
            entry.names, entry.shared, f"kept-{entry.pickle}", [], entry.digests, entry.handles, entry.outdated
        )
        moved.buffers = [f"kept-{name}" for name in entry.buffers]
        pairs = zip([entry.pickle, *entry.buffers], [moved.pickle, *moved.buffers], strict=True)
        for old, new in pairs:
            os.link(self._current / old, target / new)
        return moved

    def _take_over(self, target: Path) -> None:
        old = self._current.with_name("old")
        shutil.rmtree(old, ignore_errors=True)
        if self._current.exists():
            self._current.rename(old)
        target.rename(self._current)
        shutil.rmtree(old, ignore_errors=True)

    def _bind(self, entry: Entry) -> None:
        self._entries.remove(entry)
        self._note_names()
        try:
            self._bind_values(entry)
        except BaseException:  # an interrupt, or a package that is not there yet: it stays saved
            self._entries.append(entry)
            self._note_names()
            raise

    def _bind_values(self, entry: Entry) -> None:
        newer = {name: dict.get(self._namespace, name) for name in entry.outdated}
        unit = ReceivedUnit(
            names=tuple(entry.names),
            pickle=(self._current / entry.pickle).read_bytes(),
            buffers=tuple(_map(self._current / name) for name in entry.buffers),
            digests=tuple(entry.digests),
        )
        with self._namespace.plain():
            report = self._mirror.accept([unit])
        for failure in report.failures:
            raise CannotTravel(failure.reason)
        self._mirror.drop([name for name in entry.names if name not in entry.shared or name in entry.outdated])
        for hidden, handle in entry.handles.items():
            value = dict.pop(self._namespace, hidden)
            self._references.keep(value, handle["key"], name=handle["name"], reason=handle["reason"])
        for name, value in newer.items():
            if value is None:
                dict.pop(self._namespace, name, None)
            else:
                dict.__setitem__(self._namespace, name, value)

    def _note_names(self) -> None:
        self.names = _names(self._entries)


def _names(entries: Iterable[Entry]) -> set[str]:
    """Return the names that still have the value that was saved."""
    return {
        name for entry in entries for name in entry.names if not name.startswith(HIDDEN) and name not in entry.outdated
    }


def _map(path: Path) -> memoryview:
    """Map a file as private memory: its pages are read when they are touched."""
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        return memoryview(mmap.mmap(file.fileno(), size_bytes, access=mmap.ACCESS_COPY) if size_bytes else bytearray())


def _lost(export: Export, handles: dict[str, dict[str, str]]) -> dict[str, str]:
    return {
        handles[name]["name"] if name in handles else name: refusal.reason
        for refusal in export.refusals
        for name in refusal.names
    }


def describe_names(namespace: Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return name -> short type name."""
    return {name: type(dict.get(namespace, name)).__name__ for name in names}
