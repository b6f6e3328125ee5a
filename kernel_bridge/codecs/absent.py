"""What a value needs of this side that this side does not have: a package, or another version of one."""

from __future__ import annotations

import sys
from importlib import metadata

from kernel_bridge.errors import CannotTravel


class Absent(CannotTravel):
    """A class or function that a pickle names is not here."""

    def __init__(self, module: str, name: str, error: BaseException) -> None:
        self.module = module
        super().__init__(_explained(module, name, error))


def installed_version(root: str) -> str:
    """Return a package and its version, as in `scikit-learn 1.9.1`, from the name that is imported; empty for none."""
    try:
        names = metadata.packages_distributions().get(root, [])
        return next((f"{name} {metadata.version(name)}" for name in names), "")
    except Exception:  # noqa: BLE001 - broken metadata of a foreign package
        return ""


def _explained(module: str, name: str, error: BaseException) -> str:
    root = module.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == root not in sys.modules:
        return f"it needs the package {root}, which is not installed on this side; add it to the image"
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] != root:
        return f"it needs the package {error.name}, which is not installed on this side; add it to the image"
    here = installed_version(root)
    return f"it needs {module}.{name}, which {here or f'{root} on this side'} does not have"
