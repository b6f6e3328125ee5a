"""A value that has a copy elsewhere is one value: its finalizer runs once, where the user's code lets go of it.

What this machinery drops is a copy: the temporary object an update in place was made from, a value another one takes
the place of because the other side changed it. Its `__del__` must not delete the file that the other copy still uses.
"""

from __future__ import annotations

import sys
from typing import Any, Final

_OURS: Final = 3  # references to a value that only its caller's variable holds: that one, our parameter, the counting


def has_finalizer(value: object) -> bool:
    """Whether letting go of a value runs code of its class."""
    return hasattr(type(value), "__del__")


def hush(value: Any) -> None:
    """Let a copy go without its finalizer; where its type does not allow that, it runs."""
    try:
        object.__setattr__(value, "__class__", _Husk)
    except TypeError:  # it has slots, or fields of an extension
        return
    vars(value).clear()


def hush_last(value: Any) -> None:
    """Do so where the caller holds the only reference."""
    if has_finalizer(value) and sys.getrefcount(value) <= _OURS:
        hush(value)


class _Husk:
    """What is left of a copy."""
