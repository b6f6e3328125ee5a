"""Which names the container has been told of: what each cell's manifest must say, and no more."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from jupyter_ext.notebook import is_shell_name
from kernel_bridge.capture.handle import Handle
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.protocol.cells import ManifestChange


class Manifest:
    """What the container may ask for, and which handles of its own it holds under which names."""

    def __init__(self) -> None:
        self._announced: set[str] = set()
        self._handles: dict[str, weakref.ref[Handle]] = {}
        self._beside: dict[str, tuple[str, ...]] = {}
        self._fresh = True

    def change(self, names: Iterable[str], namespace: Mapping[str, Any], mirror: Mirror) -> ManifestChange:
        """Return what to tell the container before a cell; call it after the cell's names were exported."""
        present = set(names)
        stale = mirror.stale()
        mirror.drop(stale)
        lost = {name for name in self._handles if not self.holds_handle(name, namespace)}
        for name in lost:
            del self._handles[name]
        held = mirror.shared_names() | self._handles.keys()
        available = present - held - (self._announced - stale - lost)
        gone = {name for name in (self._announced | stale | lost) - present if not is_shell_name(name)}
        full, self._fresh = self._fresh, False
        self._announced = present - held
        return ManifestChange(full=full, available=tuple(sorted(available)), gone=() if full else tuple(sorted(gone)))

    def delivered(self, names: Iterable[str]) -> None:
        """Note that the container holds these names now."""
        self._announced.difference_update(names)

    def bind_handle(self, name: str, handle: Handle, beside: Iterable[str] = ()) -> None:
        """Note that the container holds the value of this handle under this name; `beside` share something with it."""
        self._handles[name] = weakref.ref(handle)
        self._beside[name] = tuple(beside)
        self._announced.discard(name)

    def holds_handle(self, name: str, namespace: Mapping[str, Any]) -> bool:
        """Tell whether a name is still bound to the handle whose value the container holds under it."""
        reference = self._handles.get(name)
        return reference is not None and reference() is namespace.get(name, self)

    def beside(self, name: str) -> tuple[str, ...]:
        """Return the names whose values share something with what the container holds under this one."""
        return self._beside.get(name, ())

    def forget_handles(self) -> None:
        """Tell of everything anew: a container that woke may have lost a value, and was told of nothing yet."""
        self._announced.clear()
        self._handles.clear()

    def start_over(self) -> None:
        """Forget everything: the container's namespace is another one."""
        self._announced.clear()
        self._handles.clear()
        self._fresh = True
