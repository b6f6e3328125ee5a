"""Which Python an environment is made from."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from kernel_bridge.errors import BadImage
from remote_runtime.images.uv import Uv, UvRefused


def own_minor() -> str:
    """Return the control plane's Python as `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


async def find_interpreter(minor: str, uv: Uv, environment: Mapping[str, str]) -> str:
    """Return a Python of that minor version, our own if it fits; raises BadImage saying what to install."""
    if minor == own_minor():
        return str(getattr(sys, "_base_executable", "") or sys.executable)
    said: list[str] = []
    try:
        find = ["python", "find", "--quiet", "--no-project", "--system", "--no-python-downloads", minor]
        await uv.run(find, environment, said.append)
    except UvRefused:
        raise BadImage(
            f"No Python {minor} on this host: install it (`uv python install {minor}` or the system's python{minor}) "
            f"or ask for {own_minor()}, which is there."
        ) from None
    return said[-1]
