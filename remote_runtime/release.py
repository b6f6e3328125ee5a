"""Which release of ours this is."""

from __future__ import annotations

import importlib.metadata


def release() -> str:
    """Return the installed version; "0" for a checkout that is not installed."""
    try:
        return importlib.metadata.version("cellburst")
    except importlib.metadata.PackageNotFoundError:
        return "0"
