"""The notebook's end: what `%load_ext cellburst` brings. Importing it does nothing."""

from __future__ import annotations

from typing import Any

from jupyter_ext.completion import install
from jupyter_ext.magics import GpuMagics
from jupyter_ext.session import Sessions

_NAMES = (
    *("gpu", "gpu_status", "gpu_stop", "gpu_reset", "gpu_get", "gpu_connect", "gpu_config", "gpu_keep_warm"),
    "gpu_logs",
)
_LOADED = "_cellburst_magics"
_UNINSTALL = "_cellburst_uninstall_completion"


def load_ipython_extension(shell: Any) -> None:
    """Register the magics; loading twice changes nothing."""
    if getattr(shell, _LOADED, None) is not None:
        return
    sessions = Sessions(shell)
    shell.register_magics(GpuMagics(shell, sessions))
    shell.events.register("post_run_cell", sessions.after_cell)
    object.__setattr__(shell, _LOADED, sessions)
    object.__setattr__(shell, _UNINSTALL, install(shell, sessions))


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away and leave the sessions; what runs there goes on until it idles away."""
    sessions: Sessions | None = getattr(shell, _LOADED, None)
    if sessions is None:
        return
    object.__setattr__(shell, _LOADED, None)
    getattr(shell, _UNINSTALL)()
    shell.events.unregister("post_run_cell", sessions.after_cell)
    sessions.close()
    for kind in ("line", "cell"):
        for name in _NAMES:
            shell.magics_manager.magics[kind].pop(name, None)
