"""One session as this kernel knows it: its channel, and what its container is known to hold."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from jupyter_ext.file_book import FileBook
from jupyter_ext.files import LocalFiles
from jupyter_ext.handles import HandleTable
from jupyter_ext.manifest import Manifest
from jupyter_ext.notebook import is_history_name
from kernel_bridge.capture.credentials_inside import credential_inside
from kernel_bridge.capture.handle import Handle
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.randomness import RandomStates
from kernel_bridge.capture.units import PackedUnit
from kernel_bridge.client.blobs import Moved
from kernel_bridge.client.buffers import Buffers
from kernel_bridge.client.channel import Channel
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.codecs.wire_units import BufferReceiver, BufferSender
from kernel_bridge.errors import Conflict
from kernel_bridge.protocol.cells import FileRef
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.notes import PeerUp
from kernel_bridge.protocol.sessions import SessionInfo

_REMEMBERED_CELLS: Final = 256  # whose late output still finds its place


class RemoteSession:
    """The notebook's end of a session."""

    def __init__(
        self,
        info: SessionInfo,
        channel: Channel,
        namespace: MutableMapping[str, Any],
        references: HandleTable,
        control_plane: ControlPlane,
    ) -> None:
        self.info = info
        self.channel = channel
        self.namespace = namespace
        self.references = references
        self.control_plane = control_plane
        self._buffers = Buffers(control_plane, info)
        self._arena = info.arena
        self._moved: Moved = lambda way, done_bytes, size_bytes: None
        self.allowed: frozenset[str] = frozenset()  # `--in` of the running cell: these travel whatever they look like
        self.mirror = Mirror(namespace, references=references, why_not=self._credential_in)
        self.manifest = Manifest()
        self.random = RandomStates()
        self.up = False
        self.used = False  # by this kernel
        self.notices: list[str] = []  # to show under the next cell
        self.told_lost: dict[str, str] = {}  # what of the last hibernation's losses the user has read already
        self.epoch = info.epoch
        self.stream = ""
        self.packages: dict[str, str] = {}  # versions in the container's image, of those whose values travel
        self.layers: list[str] = list(info.layers)
        self.provided: set[str] = set()  # top-level modules whose packages are linked in, or that need none
        self.linked: set[str] = set()  # distributions the layers hold
        self.local_modules: set[str] = set()  # top-level modules that are files of this machine
        self.modules: dict[str, str] = {}  # path -> digest of local modules the container has
        self.files = FileBook()
        self.stale_files: list[FileRef] = []  # of a folder that the notebook worked in before
        self.local_files = LocalFiles(info.spec.notebook.directory or ".")
        self._parents: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._served = threading.RLock()

    def _credential_in(self, unit: PackedUnit) -> str:
        """Say why a unit must not leave, or nothing; a name's own value was looked at when the cell was captured."""
        found = (
            credential_inside(name, self.namespace[name], self.namespace)
            for name in unit.names
            if name not in self.allowed and name in self.namespace and not is_history_name(name)
        )
        return next((reason for reason in found if reason), "")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one thread that serves what arrives; raises Conflict at once where another one does: a cell runs."""
        if not self._served.acquire(blocking=False):
            where = "in another thread or subshell of this notebook"
            raise Conflict(f"A cell of this session runs {where}: wait for its end, or use `--session NAME`.")
        try:
            yield
        finally:
            self._served.release()

    @property
    def same_host(self) -> bool:
        """Tell whether the container shares memory with this machine."""
        return self.buffers().same_host

    @property
    def writeback_limit_bytes(self) -> int:
        """Return the default limit for what comes home."""
        return DEFAULTS.writeback_limit_same_host_bytes if self.same_host else DEFAULTS.writeback_limit_bytes

    @property
    def closed(self) -> bool:
        """Tell whether this session can run nothing any more."""
        return not self.channel.alive

    def buffers(self) -> Buffers:
        """Return the ways buffers can travel now: the arena is known once the session has its place."""
        if self.info.arena != self._arena:
            self._arena = self.info.arena
            self._buffers.close()
            self._buffers = Buffers(self.control_plane, self.info)
            self._buffers.watch(self._moved)
        return self._buffers

    def watch(self, moved: Moved) -> None:
        """Have `moved` told how far a large buffer is on its way, until another one is named."""
        self._moved = moved
        self._buffers.watch(moved)

    def close(self) -> None:
        """Let go of the connections; what runs there goes on."""
        self.channel.close()
        self._buffers.close()

    def sender(self) -> BufferSender:
        """Return what takes the buffers of one message."""
        return self.buffers().sender()

    def receiver(self) -> BufferReceiver:
        """Return what brings buffers home."""
        return self.buffers().receiver()

    def add_layer(self, requirements: Sequence[str], *, resolve: bool = False) -> str:
        """Have the package layer of these requirements built or found; returns its path."""
        return self.control_plane.add_layer(self.info.id, requirements, resolve=resolve).path

    def refresh(self) -> SessionInfo:
        """Ask the control plane how the session stands."""
        self.info = self.control_plane.session(self.info.id)
        return self.info

    def peer_up(self, note: PeerUp) -> None:
        """Note that a container answers, and whether it is the one known so far."""
        self.info = note.session or self.info
        self.up = True
        if self.stream and self.stream != note.stream:
            self.manifest.forget_handles()
            self.random.forget()
        if self.stream != note.stream:
            lost = self.note_lost()
            if lost and self.info.lost != self.told_lost:
                self.notices.append(lost_line(lost))
            self.told_lost = {}
        self.stream = note.stream
        self.packages = note.packages
        self.enter_epoch(note.epoch)

    def note_lost(self) -> dict[str, str]:
        """Have handles know what did not survive the last sleep, and return it; not what this side has a value of."""
        lost = {name: why for name, why in self.info.lost.items() if self._lived_there(name)}
        self.references.mark_lost(self.info.id, lost)
        return lost

    def _lived_there(self, name: str) -> bool:
        return type(self.namespace.get(name)) is Handle or name not in self.namespace

    def enter_epoch(self, epoch: str) -> bool:
        """Note which namespace answers; True when it is another than the one known so far, which is forgotten."""
        if not epoch or epoch == self.epoch:
            return False
        known, self.epoch = self.epoch, epoch
        if known:
            self.forget()
        return bool(known)

    def forget(self) -> None:
        """Forget what the container held: its namespace is a new, empty one."""
        self.mirror.clear()
        self.manifest.start_over()
        self.random.forget()
        self.files.forget()
        self.modules.clear()

    def remember_cell(self, msg_id: str, parent: dict[str, Any]) -> None:
        """Keep the local cell's header, for output that comes when the cell is over."""
        self._parents[msg_id] = parent
        while len(self._parents) > _REMEMBERED_CELLS:
            self._parents.popitem(last=False)

    def parent_of(self, msg_id: str) -> dict[str, Any]:
        """Return the local cell's header, empty when it is not known any more."""
        return self._parents.get(msg_id, {})

    @property
    def last_cell(self) -> str:
        """Return the id of the cell that was sent last; empty when none was."""
        return next(reversed(self._parents), "")

    def knows_cell(self, msg_id: str) -> bool:
        """Tell whether a cell of this id was sent to this session."""
        return msg_id in self._parents

    def use_folder(self, folder: str) -> None:
        """Look for files in the folder the notebook works in now."""
        if folder and folder != str(self.local_files.folder):
            found = LocalFiles(folder)
            if found.folder != self.local_files.folder:
                self.local_files, self.stale_files = found, [*self.files.all_gone(), *self.stale_files]


def lost_line(lost: Mapping[str, str]) -> str:
    """Say what did not survive a hibernation, and why."""
    return f"not kept while the session slept: {gone(lost)}"


def gone(lost: Mapping[str, str]) -> str:
    """Say of names whose values are gone why, and what to do."""
    again = "run the cell that made it again" if len(lost) == 1 else "run the cells that made them again"
    return f"{'; '.join(reasons(lost))}; {again}"


def reasons(lost: Mapping[str, str]) -> list[str]:
    """Say of each name why it is lost; many a reason begins with the name, and some are those of many names."""
    names: dict[str, list[str]] = {}
    for name, why in sorted(lost.items()):
        names.setdefault(why, []).append(name)
    return [why if why.startswith(said[0]) else f"{', '.join(said)}: {why}" for why, said in names.items()]
