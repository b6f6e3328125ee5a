"""What of ours a container's Python may import: these two packages, and nothing else of our environment."""

from __future__ import annotations

import hashlib
from pathlib import Path

import kernel_bridge
import remote_runtime
from remote_runtime.release import release


def prepare_payload(parent: Path) -> Path:
    """Make, or find, the directory to put on a container's PYTHONPATH."""
    packages = [Path(module.__file__ or "").parent for module in (kernel_bridge, remote_runtime)]
    said = "\n".join([release(), *map(str, packages)])
    payload = parent / hashlib.sha256(said.encode()).hexdigest()[:16]
    payload.mkdir(mode=0o755, parents=True, exist_ok=True)  # behind the walls it is somebody else who reads it
    for package in packages:
        link = payload / package.name
        if not link.is_symlink():
            link.symlink_to(package, target_is_directory=True)
    return payload
