"""One session as this kernel knows it: its channel, and what its container is known to hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableMapping, Sequence
from typing import Any, Final

from jupyter_ext.files import LocalFiles
from jupyter_ext.handles import HandleTable
from jupyter_ext.manifest import Manifest
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.client.buffers import Buffers
from kernel_bridge.client.channel import Channel
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.codecs.wire_units import BufferReceiver, BufferSender
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
        self.mirror = Mirror(namespace, references=references)
        self.manifest = Manifest()
        self.up = False
        self.used = False  # by this kernel
        self.notices: list[str] = []  # to show under the first cell
        self.epoch = info.epoch
        self.stream = ""
        self.layers: list[str] = list(info.layers)
        self.provided: set[str] = set()  # top-level modules whose packages are linked in, or that need none
        self.linked: set[str] = set()  # distributions the layers hold
        self.local_modules: set[str] = set()  # top-level modules that are files of this machine
        self.modules: dict[str, str] = {}  # path -> digest of local modules the container has
        self.files: dict[str, str] = {}  # path -> digest of files the container has
        self.local_files = LocalFiles(info.spec.notebook.directory or ".")
        self._parents: OrderedDict[str, dict[str, Any]] = OrderedDict()

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
        return self._buffers

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

    def add_layer(self, requirements: Sequence[str]) -> str:
        """Have the package layer of these requirements built or found; returns its path."""
        return self.control_plane.add_layer(self.info.id, requirements).path

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
        self.stream = note.stream
        self.enter_epoch(note.epoch)

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
        self.files.clear()
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
                self.local_files = found
                self.files.clear()
