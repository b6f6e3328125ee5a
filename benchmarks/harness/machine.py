"""The machine: what it is, how busy it is, and its memory before it is measured."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = (
    "ipykernel", "jupyter_client", "ipyparallel", "ray", "numpy", "pyzmq", "websockets", "fastapi", "uvicorn", "uv",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Return what figures of this machine are to be read with; nothing in it names the machine itself."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "virtual": _is_virtual(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def now() -> str:
    """Return the moment, to the minute, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M")


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def wake_memory(size_bytes: int) -> None:
    """Touch so much memory and give it back.

    A virtual machine may hand its free pages to its host; whoever touches one first then waits for the host, 2 to 3 ms
    a megabyte, and would be measured for it.
    """
    with mmap.mmap(-1, size_bytes) as memory:
        first = ctypes.c_char.from_buffer(memory)
        ctypes.memset(ctypes.addressof(first), 1, size_bytes)
        del first


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown (outside a clone)"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _is_virtual() -> bool:
    try:
        return " hypervisor " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
