"""Our own errors as one line each: a bad option as a UsageError, everything else under its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from IPython.core.error import UsageError

from jupyter_ext.failures import one_line
from kernel_bridge.errors import BadOption, CellburstError


@contextmanager
def shown_in_one_line() -> Iterator[None]:
    """Let what is raised inside reach IPython as one line."""
    try:
        yield
    except BadOption as error:
        raise UsageError(str(error)) from None
    except CellburstError as error:
        if hasattr(error, "_render_traceback_"):
            raise
        raise one_line(error) from None
