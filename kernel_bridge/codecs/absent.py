"""What a value needs of this side that this side does not have: a package, or another version of one."""

from __future__ import annotations

import sys
import traceback
from importlib import metadata
from typing import Final

from kernel_bridge.errors import CannotTravel

_OURS: Final = frozenset({"cloudpickle", "jupyter_ext", "kernel_bridge", "remote_runtime"})


class Absent(CannotTravel):
    """A class or function that a pickle names is not here."""

    def __init__(self, module: str, name: str, error: BaseException, *, in_container: bool) -> None:
        self.module = module
        super().__init__(_explained(module, name, error, in_container=in_container))


def lacking(package: str, *, in_container: bool) -> str:
    """Say that a side lacks a package, and what to do about it."""
    if in_container:
        return f"it needs the package {package}, which is not installed in the container; add it to the image"
    return (
        f"it needs the package {package}, which is not installed here; install it, "
        "or keep the value remote with `--leave`"
    )


def installed_version(root: str) -> str:
    """Return a package and its version, as in `scikit-learn 1.9.1`, from the name that is imported; empty for none."""
    if not root:
        return ""
    try:
        names = metadata.packages_distributions().get(root, [])
        return next((f"{name} {metadata.version(name)}" for name in names), "")
    except Exception:  # noqa: BLE001 - broken metadata of a foreign package
        return ""


def raised_in(error: BaseException) -> str:
    """Return the module of an installed package that raised an error, empty for one of the notebook's own code."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        module = str(frame.f_globals.get("__name__", ""))
        root = module.partition(".")[0]
        if root not in sys.stdlib_module_names:
            return "" if root in _OURS or root == "__main__" else module
    return ""


def _explained(module: str, name: str, error: BaseException, *, in_container: bool) -> str:
    root = module.partition(".")[0]
    if isinstance(error, ModuleNotFoundError):
        lacked = (error.name or "").partition(".")[0]
        if lacked != root or root not in sys.modules:
            return lacking(root if lacked == root else str(error.name), in_container=in_container)
    here = installed_version(root)
    where = "in the container" if in_container else "here"
    return f"it needs {module}.{name}, which {here or f'{root} {where}'} does not have"
