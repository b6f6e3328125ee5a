"""The facts about this notebook: its kernel, its machine, its names."""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from kernel_bridge.capture.analysis import MODULE_NAMES
from kernel_bridge.client.buffers import boot_id
from kernel_bridge.protocol.sessions import Notebook

# What IPython keeps in the namespace for itself. Inputs, outputs and their numbered names travel when a cell says them.
_HISTORY: Final = re.compile(r"(?:_{1,3}|_i{1,3}|_i?\d+|_ih|_oh|In|Out)\Z")
_INTERNAL: Final = MODULE_NAMES | {"_dh", "_exit_code"}
_MISSING: Final = object()


@cache
def kernel_id() -> str:
    """Return an id that is fresh for every kernel process."""
    return uuid.uuid4().hex


@cache
def _boot_id() -> str:
    return boot_id()


def python_version() -> str:
    """Return the minor version, as in `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def facts(namespace: Mapping[str, Any], environment: Mapping[str, str]) -> Notebook:
    """Say who asks: this kernel and the folder it works in."""
    return Notebook(
        kernel_id=kernel_id(),
        path=str(namespace.get("__vsc_ipynb_file__") or environment.get("JPY_SESSION_NAME", "")),
        directory=directory(),
        boot_id=_boot_id(),
        pid=os.getpid(),
        python=python_version(),
    )


def directory() -> str:
    """Return the kernel's working directory, absolute; empty when it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def user_names(namespace: Mapping[str, Any], hidden: Mapping[str, Any]) -> set[str]:
    """Return the names that are the user's: not those that IPython put there and nobody rebound."""
    return {
        name
        for name, value in namespace.items()
        if hidden.get(name, _MISSING) is not value and not (name[:1] in "_IO" and is_shell_name(name))
    }


def is_shell_name(name: str) -> bool:
    """Tell whether a name is IPython's own: `_`, `_5`, `Out`, `__name__`."""
    return name in _INTERNAL or bool(_HISTORY.match(name))


def is_history_name(name: str) -> bool:
    """Tell whether a name is IPython's record of inputs and outputs, which travels when a cell says it."""
    return bool(_HISTORY.match(name))


def in_ipykernel(shell: Any) -> bool:
    """Tell whether a front end is listening, or only a terminal."""
    return getattr(shell, "kernel", None) is not None


def parent_header(shell: Any) -> dict[str, Any]:
    """Return the header of the local execute_request that runs now; empty outside ipykernel."""
    if not in_ipykernel(shell):
        return {}
    parent = shell.get_parent()
    header = parent.get("header") or parent
    return dict(header) if header.get("msg_id") else {}


def cell_number(shell: Any) -> int:
    """Return the number of the cell that runs, as in `In[5]`."""
    running = getattr(shell.displayhook, "exec_result", None)
    # IPython counts on sooner or later, by its version.
    return int(getattr(running, "execution_count", None) or shell.execution_count)


def may_ask(shell: Any) -> bool:
    """Tell whether `input()` has somebody to ask."""
    return bool(getattr(shell.kernel, "_allow_stdin", True)) if in_ipykernel(shell) else True
