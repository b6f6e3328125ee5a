"""State kept over idleness, by value: saved when a container hibernates, read back name by name when it wakes.

Where a container was lost, the next one finds the state of the last hibernation. The notebook sends anew what it has;
what lived in the container alone, behind handles, is as it was saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cloudpickle import cloudpickle

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import Export, PackedUnit, ReceivedUnit
from kernel_bridge.errors import CannotTravel
from remote_runtime.agent.namespace import Namespace
from remote_runtime.agent.process_state import ProcessState, label
from remote_runtime.agent.saved_files import Entry, Index, OtherFormat, Saving, StateFiles

HIDDEN: Final = "_cellburst_kept_"  # namespace names under which handles' values and the process's state are saved


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What was kept, and what could not be."""

    names: tuple[str, ...]
    lost: dict[str, str]
    size_bytes: int


@dataclass(slots=True)
class _Bound:
    """What is bound under hidden names while an export looks at them."""

    handles: dict[str, dict[str, str]] = field(default_factory=dict)  # hidden name -> key, name, type, reason
    process: dict[str, str] = field(default_factory=dict)  # hidden name -> part

    @property
    def names(self) -> list[str]:
        return [*self.handles, *self.process]

    def said(self, name: str) -> str:
        """Return what a person calls it."""
        if name in self.handles:
            return self.handles[name]["name"]
        return label(self.process[name]) if name in self.process else name

    def in_words(self, reason: str) -> str:
        """Return a reason without names of ours in it."""
        for hidden in reversed(self.names) if HIDDEN in reason else ():  # of 10 before 1
            reason = reason.replace(hidden, self.said(hidden))
        return reason


class SavedState:
    """The saved state of one session, restored as its names are touched.

    `saving` makes the table of what is saved as a reference; `why_not` says of a unit why it must not lie on a disk.
    `process` is what the process has besides names.
    """

    def __init__(
        self,
        directory: str,
        namespace: Namespace,
        mirror: Mirror,
        references: ReferenceTable,
        process: ProcessState,
        why_not: Callable[[PackedUnit], str] | None = None,
        saving: Callable[[], ReferenceTable] = ReferenceTable,
    ) -> None:
        self._files = StateFiles(Path(directory)) if directory else None
        self._namespace = namespace
        self._mirror = mirror
        self._references = references
        self._process = process
        self._why_not = why_not
        self._saving = saving
        self._entries: list[Entry] = []
        self._lost: dict[str, dict[str, str]] = {}
        self.names: set[str] = set()
        self.woken = False  # there is a state, of this namespace or of one before it
        self.rewound: tuple[str, ...] = ()  # names that are as they were saved, for the namespace since was lost
        self.saved_at_s = 0.0
        self._stands_in = False  # for what came after it and was lost
        self.remarks: list[str] = []  # lines that were to be shown when it was saved

    def load(self, epoch: str) -> str:
        """Read the index for a namespace; returns why it cannot be read, in one line, else an empty string."""
        try:
            index = self._files.read() if self._files else None
        except OtherFormat as error:
            return str(error)
        if index is None:
            return ""
        self.woken, self.saved_at_s, self.remarks = True, index.saved_at_s, index.remarks
        self._entries, self._lost = index.entries, index.lost
        self._stands_in = index.rewound or index.epoch != epoch
        if index.epoch != epoch:
            for entry in self._entries:  # the notebook holds newer ones of all names, or has deleted them
                entry.shared, entry.outdated = [], [name for name in entry.names if not name.startswith(HIDDEN)]
            self._drop_the_dead()
            self.rewound = tuple(handle["name"] for entry in self._entries for handle in entry.handles.values())
        self._note_names()
        return ""

    def forget(self, names: Iterable[str]) -> None:
        """Note that these names have another value now; what was saved under them is not bound any more."""
        outdated = self.names.intersection(names)
        for entry in self._entries if outdated else ():
            entry.outdated += [name for name in entry.names if name in outdated]
        self.names -= outdated

    def release(self, keys: Iterable[str]) -> None:
        """Let go of saved handles that nobody holds any more; one that stands for a lost value may be wanted yet."""
        released = set() if self._stands_in else set(keys)
        for entry in self._entries if released else ():
            for hidden in [hidden for hidden, handle in entry.handles.items() if handle["key"] in released]:
                del entry.handles[hidden]
                entry.outdated.append(hidden)

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

    def holds(self, key: str) -> bool:
        """Tell whether the value of a handle is saved and not back yet."""
        return any(handle["key"] == key for entry in self._entries for handle in entry.handles.values())

    def stand_in(self, name: str, kind: str) -> str:
        """Return the key of the saved value that takes the place of a lost one of this name and type; empty: none."""
        handles = (handle for entry in self._entries for handle in entry.handles.values())
        found = (handle["key"] for handle in handles if (handle["name"], handle["type"]) == (name, kind))
        return next(found, "") if self._stands_in else ""

    def restore_process(self, part: str) -> bool:
        """Bring back a part of the process's own state; False when there was nothing of it."""
        found = [entry for entry in self._entries if part in entry.process.values()]
        for entry in found:
            self._bind(entry)
        return bool(found)

    @property
    def process_parts(self) -> frozenset[str]:
        """Return which parts of the process's own state are saved and not back yet."""
        return frozenset(part for entry in self._entries for part in entry.process.values())

    def why_lost(self, key: str) -> str:
        """Say why the value of a handle was not saved; empty when nothing is known of it."""
        lost = self._lost.get(key)
        return f"{lost['name']} could not be saved when the session hibernated: {lost['reason']}" if lost else ""

    def would_lose(self, names: Sequence[str]) -> dict[str, str]:
        """Return what a save of these names and of everything behind handles would lose now, and why."""
        with self._bind_hidden() as bound:
            export = self._export(names, bound)
        return _lost(export, bound)

    def save(self, names: Sequence[str], epoch: str, remarks: Sequence[str] = ()) -> SaveReport:
        """Write these names and all handles' values, and what was never restored, as the new state; raises OSError.

        `remarks` are lines that are still to be shown.
        """
        if self._files is None:
            return SaveReport((), dict.fromkeys(names, "this container has no place to keep state"), 0)
        if self._stands_in:
            self._forget_replaced({info.name for info in self._references.kept().values()})
        self._drop_the_dead()
        with self._bind_hidden() as bound:
            export = self._export(names, bound)
        lost_keys = {
            bound.handles[name]["key"]: {"name": bound.said(name), "reason": bound.in_words(refusal.reason)}
            for refusal in export.refusals
            for name in bound.handles.keys() & refusal.names
        }
        with self._files.saving() as saving:
            entries = [self._write(saving, unit, bound) for unit in export.units]
            kept = [_carry(saving, entry) for entry in self._entries]
            lost = self._lost | lost_keys
            index = Index(epoch, time.time(), [*entries, *kept], lost, list(remarks), self._stands_in)
            size_bytes = saving.commit(index)
        self._entries = kept
        saved = {handle["name"] for entry in (*entries, *kept) for handle in entry.handles.values()}
        return SaveReport(tuple(sorted(saved | _names([*entries, *kept]))), _lost(export, bound), size_bytes)

    def _export(self, names: Sequence[str], bound: _Bound) -> Export:
        # A mirror that knows nothing exports everything, handles' values included; its objects have the numbers they
        # have for the notebook, which thereby still knows them when they come back.
        scratch = Mirror(
            self._namespace, references=self._saving(), why_not=self._why_not, identities=self._mirror.identities
        )
        try:
            return scratch.export([*names, *bound.names])
        finally:
            scratch.drop(scratch.shared_names())

    @contextmanager
    def _bind_hidden(self) -> Iterator[_Bound]:
        bound, values = _Bound(), dict[str, Any]()
        for key, info in self._references.kept().items():
            hidden = f"{HIDDEN}{len(values)}"
            values[hidden] = self._references.resolve(key)
            bound.handles[hidden] = {"key": key, "name": info.name, "type": info.type, "reason": info.reason}
        for part, value in self._process.take(self.process_parts).items():
            hidden = f"{HIDDEN}{part}"
            values[hidden] = value
            bound.process[hidden] = part
        try:
            for hidden, value in values.items():
                dict.__setitem__(self._namespace, hidden, value)
            yield bound
        finally:
            for hidden in values:
                dict.pop(self._namespace, hidden, None)

    def _write(self, saving: Saving, unit: PackedUnit, bound: _Bound) -> Entry:
        return Entry(
            names=list(unit.names),
            shared=[name for name in unit.names if self._mirror.is_current(name)],
            pickle=saving.put(unit.pickle),
            buffers=list(map(saving.put, unit.buffers, unit.digests)),
            handles={name: bound.handles[name] for name in unit.names if name in bound.handles},
            process={name: bound.process[name] for name in unit.names if name in bound.process},
        )

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
        assert self._files is not None  # noqa: S101 - where the entry came from
        newer = {name: dict.get(self._namespace, name) for name in entry.outdated}
        unit = ReceivedUnit(
            names=tuple(entry.names),
            pickle=self._files.bytes_of(entry.pickle),
            buffers=tuple(map(self._files.bytes_of, entry.buffers)),
            digests=tuple(piece.digest for piece in entry.buffers),
        )
        with self._namespace.plain(), _classes_as_they_are():
            report = self._mirror.accept([unit])
        for failure in report.failures:
            raise CannotTravel(failure.reason)
        self._mirror.drop([name for name in entry.names if name not in entry.shared or name in entry.outdated])
        for hidden, handle in entry.handles.items():
            value = dict.pop(self._namespace, hidden)
            self._references.keep(value, handle["key"], name=handle["name"], reason=handle["reason"])
        for hidden, part in entry.process.items():
            self._process.put(part, dict.pop(self._namespace, hidden))
        for name, value in newer.items():
            if value is None:
                dict.pop(self._namespace, name, None)
            else:
                dict.__setitem__(self._namespace, name, value)

    def _forget_replaced(self, names: set[str]) -> None:
        """Let go of saved handles whose names stand for values of now."""
        for entry in self._entries:
            for hidden in [hidden for hidden, handle in entry.handles.items() if handle["name"] in names]:
                del entry.handles[hidden]
                entry.outdated.append(hidden)

    def _drop_the_dead(self) -> None:
        """Let go of entries in which nothing is wanted any more."""
        self._entries = [
            entry for entry in self._entries if entry.handles or entry.process or set(entry.names) - set(entry.outdated)
        ]

    def _note_names(self) -> None:
        self.names = _names(self._entries)


@contextmanager
def _classes_as_they_are() -> Iterator[None]:
    """Keep the attributes of the notebook's classes that are here: what was saved with an instance is older."""
    known: Any = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS  # it alone knows them
    before = {kind: dict(vars(kind)) for kind in list(known) if isinstance(kind, type)}
    try:
        yield
    finally:
        for kind, attributes in before.items():
            now = dict(vars(kind))
            for name in [name for name in now.keys() | attributes.keys() if attributes.get(name) is not now.get(name)]:
                with suppress(AttributeError, TypeError):
                    if name in attributes:
                        type.__setattr__(kind, name, attributes[name])
                    else:
                        type.__delattr__(kind, name)


def _carry(saving: Saving, entry: Entry) -> Entry:
    """Hand an entry that was never restored on to the next state, without reading it."""
    return Entry(
        names=entry.names,
        shared=entry.shared,
        pickle=saving.carry(entry.pickle),
        buffers=[saving.carry(piece) for piece in entry.buffers],
        handles=entry.handles,
        process=entry.process,
        outdated=entry.outdated,
    )


def _names(entries: Iterable[Entry]) -> set[str]:
    """Return the names that still have the value that was saved."""
    return {
        name for entry in entries for name in entry.names if not name.startswith(HIDDEN) and name not in entry.outdated
    }


def _lost(export: Export, bound: _Bound) -> dict[str, str]:
    """Return what could not be saved, as a person calls it; a name and its handle are one thing."""
    return {bound.said(name): bound.in_words(refusal.reason) for refusal in export.refusals for name in refusal.names}


def describe_names(namespace: Namespace, names: Iterable[str]) -> Mapping[str, str]:
    """Return name -> short type name."""
    return {name: type(dict.get(namespace, name)).__name__ for name in names}
