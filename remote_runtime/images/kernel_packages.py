"""What every environment holds for our agent and kernel child, at the versions installed beside the control plane."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from remote_runtime.images.requirements import canonical, requirement_name

KERNEL_PACKAGES: Final = ("ipykernel", "cloudpickle", "websockets", "xxhash", "blake3")
# The kernel host knows ipykernel's private names, so a recipe's own pin must stay in this range.
KERNEL_LIMITS: Final = ("ipykernel>=7.1,<8",)


def kernel_pins() -> tuple[str, ...]:
    """Return the kernel's requirements, exact where the control plane has them installed."""
    return tuple(f"{name}=={version}" if (version := _version(name)) else name for name in KERNEL_PACKAGES)


def closure_pins(names: Iterable[str]) -> tuple[str, ...]:
    """Return exact pins of these packages and all they depend on, as installed here.

    An environment made of these has the versions a notebook beside the control plane has, so that a package layer with
    the notebook's versions does not meet others in it.
    """
    pins: dict[str, str] = {}
    waiting = [canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        version = None if name in pins else _version(name)
        if version is not None:
            pins[name] = f"{name}=={version.partition('+')[0]}"
            needed = importlib.metadata.requires(name) or []
            waiting += [requirement_name(line) for line in needed if "extra ==" not in line]
    return tuple(pins[name] for name in sorted(pins))


def installed_pins(site: Path) -> list[str]:
    """Return exact pins of what lies in a folder of packages; raises OSError."""
    found = importlib.metadata.distributions(path=[str(site)])
    return sorted({f"{each.metadata['Name']}=={each.version}" for each in found}, key=str.lower)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
