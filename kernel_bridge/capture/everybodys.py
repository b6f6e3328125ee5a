"""Objects of a library's own that many values refer to. Every figure does; that ties no two of them together."""

from __future__ import annotations

import sys
from collections.abc import Set
from typing import Any, Final
from weakref import WeakValueDictionary

PLOTS: Final = "matplotlib"
_CLASSES: Final = (
    ("matplotlib.markers", "MarkerStyle"),
    ("matplotlib.path", "Path"),
    ("matplotlib.transforms", "IdentityTransform"),
)

# Kept: a setting that was set anew is another list, and figures made before refer to the former.
_kept: Final[dict[int, Any]] = {}


def plots_own() -> Set[int]:
    """Return the identities of what matplotlib keeps for every figure: paths of markers, values of settings."""
    found: list[Any] = [getattr(sys.modules.get("matplotlib.markers"), "_empty_path", None)]
    for module, name in _CLASSES:
        for value in vars(getattr(sys.modules.get(module), name, object)).values():
            found += value.values() if isinstance(value, WeakValueDictionary) else [value]
    settings = getattr(sys.modules.get(PLOTS), "rcParams", None)
    found += [value for value in dict.values(settings) if isinstance(value, list)] if isinstance(settings, dict) else ()
    _kept.update((id(value), value) for value in found)
    return _kept.keys()
