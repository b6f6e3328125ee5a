"""Imports that only the image can do: names that stand for its modules in the notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from kernel_bridge.codecs.elsewhere import Elsewhere, importing


@contextmanager
def elsewhere_imports() -> Iterator[None]:
    """Have `import` bind a stand-in for a module that is not installed here; it becomes the module in a cell there.

    Other errors of a module that is installed stay errors. The stand-ins are not in `sys.modules` afterwards: what asks
    whether a library is installed here gets the truth.
    """
    finder = _Finder()
    sys.meta_path.append(finder)
    try:
        with importing():
            yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.made:
            sys.modules.pop(name, None)


class _Finder(Loader):
    """The last to be asked: finds every module that nobody else found."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """Say that there is such a module, unless it would be part of one that is installed here."""
        del path, target
        parent = name.rpartition(".")[0]
        if parent and not isinstance(sys.modules.get(parent), Elsewhere):
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> Any:
        """Make the stand-in."""
        self.made.append(spec.name)
        return Elsewhere(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run here."""
