"""Packages that an image has in another version than this notebook, where values cannot travel between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jupyter_ext.installed import catalogue

# How many numbers of a version must be equal for one to read what the other has pickled.
_TOGETHER: Final = {"numpy": 1, "pandas": 1, "polars": 1, "scikit-learn": 2, "torch": 1}


def skew(there: Mapping[str, str]) -> list[str]:
    """Return a line for each package that differs too much, with what mends it."""
    lines = []
    for name, depth in _TOGETHER.items():
        here = catalogue().find(name)
        if here is not None and name in there and _front(here.version, depth) != _front(there[name], depth):
            lines.append(
                f"the image has {name} {there[name]}, this notebook {here.version}: values of {name} may not travel "
                f'between them. `.pip_install("{name}=={here.version}")` in the image, or '
                f"`%pip install {name}=={there[name]}` here and a restart, mends that."
            )
    return lines


def _front(version: str, depth: int) -> list[str]:
    return version.partition("+")[0].split(".")[:depth]
