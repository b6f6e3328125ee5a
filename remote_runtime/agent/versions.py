"""Which of the packages whose values a notebook sends are here, in what version: read from the names of folders."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAMES: Final = frozenset({"numpy", "pandas", "polars", "scikit-learn", "torch"})
_FOLDER: Final = re.compile(r"([A-Za-z0-9_.]+)-([^-]+)\.dist-info\Z")


def installed() -> dict[str, str]:
    """Return name -> version; a package that a layer brings later is not among them."""
    found: dict[str, str] = {}
    for place in sys.path:
        with suppress(OSError):
            for match in filter(None, (_FOLDER.match(folder.name) for folder in Path(place).iterdir())):
                name = match[1].lower().replace("_", "-")
                if name in _NAMES:
                    found.setdefault(name, match[2])
    return found
