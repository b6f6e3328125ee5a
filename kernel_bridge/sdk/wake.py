"""Functions that make again what cannot be saved: connections, log-ins, open files."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, TypeVar

from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.cells import ON_WAKE_NAME

F = TypeVar("F", bound=Callable[[], Any])


def on_wake(function: F) -> F:
    """Have a function run before the first cell of a container that woke, or that takes the place of a lost one.

    For use as a decorator, in the notebook or in a `%%gpu` cell. Functions run in the order they were registered, as a
    cell would run them: they see the notebook's names, may be `async`, and what they print appears under the waking
    cell. One that raises is shown by its name and runs again before the next cell. A function of the same name takes
    the place of an earlier one. The first container of a session runs none: call the function yourself.
    Outside a notebook nothing happens. Raises BadOption for what is no function with a name.
    """
    name = getattr(function, "__name__", "")
    if not callable(function) or not name.isidentifier():
        raise BadOption("`on_wake` wants a function with a name: write `@cb.on_wake` above a `def`.")
    # While a cell runs, IPython puts the way to its shell among the builtins.
    shell = getattr(builtins, "get_ipython", lambda: None)()
    if shell is not None:
        hooks = shell.user_ns.get(ON_WAKE_NAME)
        # Another dictionary, not the old one changed: then a cell in which this happens is seen to have bound it.
        shell.user_ns[ON_WAKE_NAME] = {**(hooks or {}), name: function}
    return function
