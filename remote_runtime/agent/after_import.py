"""Have something done right after a module was imported, whoever imports it and when."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Work = Callable[[], object]


class AfterImport(MetaPathFinder):
    """The first finder on sys.meta_path while something waits: finds nothing itself, and looks on."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Work]] = {}
        self._asking: set[str] = set()

    def wait(self, module: str, work: Work) -> None:
        """Do this once, when that module has been imported; it must not raise."""
        self._waiting.setdefault(module, []).append(work)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as the others do, and have what waits for it done after its code has run."""
        if fullname not in self._waiting or fullname in self._asking:
            return None
        self._asking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking.discard(fullname)
        if spec is not None and spec.loader is not None:
            self._follow(fullname, spec.loader)
        return spec

    def _follow(self, fullname: str, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for work in self._waiting.pop(fullname, ()):
                work()
            if not self._waiting and self in sys.meta_path:
                sys.meta_path.remove(self)

        loader.exec_module = exec_module
