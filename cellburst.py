"""Run a notebook cell on a GPU host as if it had run here: `%load_ext cellburst`, then `%%gpu A100`.

This is the front door. What it offers is imported when it is first used, so that importing it costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel_bridge.capture.handle import Handle
    from kernel_bridge.errors import *  # noqa: F403
    from kernel_bridge.sdk.image import Image
    from kernel_bridge.sdk.model_cache import fill_once
    from kernel_bridge.sdk.secret import Secret
    from kernel_bridge.sdk.volume import Volume
    from kernel_bridge.sdk.wake import on_wake

# fmt: off
__all__ = [  # noqa: F405
    "BadImage", "BadOption", "BadRequest", "BuildFailed", "CannotTravel", "CellTimeoutError", "CellburstError",
    "Conflict", "CredentialHeldBack", "Forbidden", "Handle", "Image", "NoCapacity", "NotFound", "PythonMismatch",
    "RemoteValueError", "RuntimeMismatch", "RuntimeUnreachable", "Secret", "SessionLost", "TooLarge", "Unauthorized",
    "Volume", "fill_once", "on_wake",
]
# fmt: on
_HOMES = {
    "Handle": "kernel_bridge.capture.handle",
    "Image": "kernel_bridge.sdk.image",
    "Secret": "kernel_bridge.sdk.secret",
    "Volume": "kernel_bridge.sdk.volume",
    "fill_once": "kernel_bridge.sdk.model_cache",
    "on_wake": "kernel_bridge.sdk.wake",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("cellburst")
    if name not in __all__:
        raise AttributeError(f"module 'cellburst' has no attribute {name!r}")
    home = importlib.import_module(_HOMES.get(name, "kernel_bridge.errors"))
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def load_ipython_extension(shell: Any) -> None:
    """Add `%%gpu` and its family to this notebook."""
    importlib.import_module("jupyter_ext").load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take them away again."""
    importlib.import_module("jupyter_ext").unload_ipython_extension(shell)
