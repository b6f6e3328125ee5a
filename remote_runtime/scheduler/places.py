"""Where a session's files lie on this host."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from remote_runtime.trash import remove_tree


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of all sessions, below the data directory, and their arenas."""

    data_dir: Path
    arena_root: Path

    def session(self, session_id: str) -> Path:
        """Return everything that outlives a container of this session."""
        return self.data_dir / "sessions" / session_id

    def work(self, session_id: str) -> Path:
        """Return where its cells find themselves."""
        return self.session(session_id) / "work"

    def state(self, session_id: str) -> Path:
        """Return where hibernation saves."""
        return self.session(session_id) / "state"

    def container(self, session_id: str, container_id: str) -> Path:
        """Return what a provider may keep of one container."""
        return self.session(session_id) / "containers" / container_id

    def arena(self, session_id: str) -> Path:
        """Return the memory it shares with a notebook on this host."""
        return self.arena_root / session_id

    def make(self, session_id: str) -> None:
        """Make them, for the owner's eyes only."""
        for directory in (self.work(session_id), self.state(session_id), self.arena(session_id)):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def forget_state(self, session_id: str) -> None:
        """Delete what hibernation saved."""
        _remove(self.state(session_id))

    def forget_container(self, session_id: str, container_id: str) -> None:
        """Delete what a provider kept of one container."""
        _remove(self.container(session_id, container_id))

    def remove(self, session_id: str) -> None:
        """Delete all of it: the session is over."""
        _remove(self.arena(session_id))
        _remove(self.session(session_id))


def _remove(tree: Path) -> None:
    """Cells filled it: it may be deeper than Python's stack, and full of links."""
    with suppress(OSError):
        remove_tree(tree)
