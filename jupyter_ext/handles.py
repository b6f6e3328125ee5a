"""The handles this kernel holds, counted, so that the container can let go of what nobody refers to any more."""

from __future__ import annotations

import weakref
from collections import Counter, defaultdict
from collections.abc import Mapping

from kernel_bridge.capture.handle import Fetch, Handle, HandleInfo, mark_lost, why_lost
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.protocol.cells import HandleHead


class HandleTable(ReferenceTable):
    """Makes handles for values of every session, and remembers which of them are gone."""

    def __init__(self, fetch: Fetch) -> None:
        super().__init__(fetch=fetch)
        self._infos: dict[tuple[str, str], HandleInfo] = {}
        self._alive: Counter[tuple[str, str]] = Counter()
        self._counted: set[int] = set()
        self._released: defaultdict[str, list[str]] = defaultdict(list)

    def handle(self, info: HandleInfo) -> Handle:
        """Return the handle for a value of a session; it is counted for as long as it lives."""
        found = super().handle(info)
        if id(found) not in self._counted:
            key = (info.session, info.key)
            self._counted.add(id(found))
            self._alive[key] += 1
            self._infos[key] = info
            weakref.finalize(found, self._gone, id(found), key).atexit = False
        return found

    def alive(self, session_id: str) -> list[HandleInfo]:
        """Return what the handles of one session stand for, but those whose value is known to be gone."""
        return [info for info, why in self._of(session_id) if not why]

    def lost(self, session_id: str) -> dict[str, str]:
        """Return the names of handles whose value is known to be gone, and why; not where a newer one has the name."""
        found = self._of(session_id)
        newer = {info.name for info, why in found if not why}
        return {info.name: why for info, why in found if why and info.name not in newer}

    def mark_lost(self, session_id: str, lost: Mapping[str, str]) -> None:
        """Have the handles of these names say that their values are gone, and why: name -> reason."""
        for info, _ in self._of(session_id):
            handle = self._handles.get((session_id, info.key))
            if handle is not None and info.name in lost:
                mark_lost(handle, lost[info.name])

    def take_released(self, session_id: str) -> tuple[str, ...]:
        """Return the keys of a session that no handle refers to any more, each once."""
        return tuple(self._released.pop(session_id, ()))

    def _of(self, session_id: str) -> list[tuple[HandleInfo, str]]:
        found = [(info, self._handles.get(key)) for key, info in list(self._infos.items()) if key[0] == session_id]
        return [(info, "" if handle is None else why_lost(handle)) for info, handle in found]

    def _gone(self, identity: int, key: tuple[str, str]) -> None:
        """Run when a handle was collected, on whatever thread that happens."""
        self._counted.discard(identity)
        self._alive[key] -= 1
        if self._alive[key] <= 0:
            del self._alive[key]
            self._infos.pop(key, None)
            self._released[key[0]].append(key[1])


def handle_info_of(head: HandleHead, session_id: str) -> HandleInfo:
    """Return what a handle shows, from what the container said of its value."""
    return HandleInfo(
        session=session_id,
        key=head.key,
        name=head.name,
        type=head.type,
        shape=head.shape or None,
        dtype=head.dtype or None,
        device=head.device or None,
        size_bytes=head.size_bytes,
        reason=head.reason,
    )
