"""Which packages the far side needs for the modules a cell uses, at the versions of this kernel.

An import name is looked up among the installed distributions; a distribution brings all it depends on. Modules of the
working directory and of editable installs are no package: their files travel by content (`local_files.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from jupyter_ext.installed import Catalogue, Distribution, canonical, catalogue
from jupyter_ext.local_files import local_module_files, local_module_root

__all__ = ["Needs", "local_module_files", "local_module_root", "requirements_for"]

# The far side has its own copies of what makes it one.
_OURS: Final = frozenset({"__main__", "cellburst", "jupyter_ext", "kernel_bridge", "remote_runtime"})
# What a library uses unasked where it is installed: values look and are computed otherwise without it.
_COMPANIONS: Final = {"pandas": ("pyarrow", "numexpr", "bottleneck")}


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be there before modules can be imported."""

    requirements: tuple[str, ...] = ()  # exact: `scikit-learn==1.9.1`, and `name @ URL` where it was installed so
    local_modules: tuple[str, ...] = ()  # top-level names whose files have to travel
    unknown: tuple[str, ...] = ()  # top-level names that neither is known for


def requirements_for(modules: Iterable[str], *, exclude: frozenset[str] = frozenset()) -> Needs:
    """Work out what these modules need; names may be dotted. Nothing is imported.

    `exclude` are distributions (any spelling) that the far side has with all they depend on.
    """
    walk = _Walk(catalogue(), frozenset(map(canonical, exclude)))
    for module in modules:
        walk.module(module)
    return Needs(tuple(sorted(walk.pins.values())), tuple(sorted(walk.local)), tuple(sorted(walk.unknown)))


@dataclass(slots=True)
class _Walk:
    """One search through the dependency graph; what was met once is not entered again."""

    known: Catalogue
    exclude: frozenset[str]
    met: set[tuple[str, str]] = field(default_factory=set)  # (distribution, one of its extras or nothing)
    pins: dict[str, str] = field(default_factory=dict)
    local: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def module(self, dotted: str) -> None:
        """Add one module: from the standard library, a distribution, a local file, or nowhere."""
        top = dotted.partition(".")[0]
        if not top or top in _OURS or top in sys.stdlib_module_names:
            return
        root = local_module_root(top)
        owners = self.known.owners(dotted, root)
        for owner in owners:
            self.distribution(owner, frozenset())
        if not owners and root is not None:
            self.local.add(top)
        elif not owners:
            self.unknown.add(top)

    def distribution(self, found: Distribution, extras: frozenset[str]) -> None:
        """Add a distribution and what it depends on, itself as files where it is installed from a local folder."""
        waiting = [(found, extras)]
        while waiting:
            one, wanted = waiting.pop()
            keys = {(one.name, extra) for extra in ("", *wanted)}
            if one.name in self.exclude or keys <= self.met:
                continue
            self.met |= keys
            if one.is_local:
                self.local.update(one.modules)
            else:
                self.pins[one.name] = one.requirement
            companions = ((name, frozenset[str]()) for name in _COMPANIONS.get(one.name, ()))
            needed = ((self.known.find(name), more) for name, more in (*one.needs(wanted), *companions))
            waiting += [(other, more) for other, more in needed if other is not None]
