"""Global generators of random numbers travel by their name: `from random import shuffle` is of the side it is on."""

from __future__ import annotations

import random
import sys
from importlib import import_module
from typing import Any, Final

_RANDOM: Final = "random"
_NUMPY: Final = "numpy.random"


def is_generator_type(kind: type) -> bool:
    """Whether a global generator may be of this type."""
    return kind is random.Random or kind is getattr(sys.modules.get(_NUMPY), "RandomState", None)


def reduce_generator(value: object) -> Any:
    """Reduce a global generator to its name; others travel with their state."""
    name = next((name for name in (_RANDOM, _NUMPY) if value is _global(name)), None)
    return NotImplemented if name is None else (find_generator, (name,))


def find_generator(name: str) -> Any:
    """Return this side's global generator of that name."""
    import_module(name)
    return _global(name)


def _global(name: str) -> object:
    if name == _RANDOM:
        return random._inst
    return getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)
