"""How buffers travel between this notebook and a session: the arena where the container is on this host, else blobs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kernel_bridge.client.blobs import HttpBlobs, Moved
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.codecs.arena import Arena
from kernel_bridge.codecs.chunks import History
from kernel_bridge.codecs.wire_units import BufferReceiver, BufferSender
from kernel_bridge.protocol.sessions import SessionInfo

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Buffers:
    """The ways that are open between this notebook and one session."""

    def __init__(self, control_plane: ControlPlane, session: SessionInfo) -> None:
        self.arena = shared_arena(session)
        self.blobs = HttpBlobs(control_plane)
        self._history = History()
        self._taken: set[str] = set()

    @property
    def same_host(self) -> bool:
        """Tell whether both ends share memory."""
        return self.arena is not None

    def watch(self, moved: Moved) -> None:
        """Have `moved` told how far a large buffer is on its way."""
        self.blobs.moved = moved

    def sender(self) -> BufferSender:
        """Return a sender for one message; afterwards its `inline` are that message's buffers."""
        return BufferSender(arena=self.arena, blobs=self.blobs, history=self._history)

    def receiver(self) -> BufferReceiver:
        """Return what brings buffers home, from any message."""
        return BufferReceiver(arena=self.arena, blobs=self.blobs, history=self._history, taken=self._taken)

    def release(self) -> None:
        """Give back what was brought home through the arena; not while a message may name it."""
        self.receiver().release()

    def close(self) -> None:
        """Close this thread's connection to the blob service."""
        self.blobs.close()


def shared_arena(session: SessionInfo) -> Arena | None:
    """Return the arena this machine shares with the session's container, or None when it is elsewhere."""
    if not session.arena or not session.boot_id or session.boot_id != boot_id():
        return None
    arena = Arena(session.arena)
    return arena if arena.usable() else None


def boot_id() -> str:
    """Return what names this machine since it was started; empty where there is no such thing."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
