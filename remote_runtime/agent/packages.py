"""Modules that the container lacks, brought from the notebook's environment when they are imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

Fetch = Callable[[str], bool]  # make the module importable; False when the notebook has none either


class NotebookFinder(MetaPathFinder):
    """The last finder on sys.meta_path: asked only for what nobody else found."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._unknown: set[str] = set()
        self._asking: set[str] = set()

    def forget(self) -> None:
        """Ask again for what was unknown: the notebook may have installed it since."""
        self._unknown.clear()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a top-level module through the notebook; None when it has none, or when it is a submodule."""
        if path is not None or fullname in self._unknown or fullname in self._asking:
            return None
        self._asking.add(fullname)
        try:
            if not self._fetch(fullname):
                self._unknown.add(fullname)
                return None
        finally:
            self._asking.discard(fullname)
        return PathFinder.find_spec(fullname)


def link_layers(layers: Iterable[str]) -> None:
    """Put package layers on sys.path, after the environment's own packages, in the order of their making."""
    new = [layer for layer in layers if layer not in sys.path]
    if new:
        sys.path.extend(new)
        importlib.invalidate_caches()
