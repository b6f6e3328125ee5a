"""The client imports where there is no POSIX."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import socket, sys
for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None
for name in ("AF_UNIX", "SO_PEERCRED"):
    if hasattr(socket, name):
        delattr(socket, name)
import cellburst
cellburst.Volume, cellburst.Secret, cellburst.RemoteValueError
import kernel_bridge.config, kernel_bridge.cli.main
from kernel_bridge.client import blobs, buffers, channel, embedded, http
try:
    embedded.check_can_embed()
except cellburst.RuntimeUnreachable as error:
    print(error)
{more}
"""


def run(more: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(more=more)], capture_output=True, text=True, check=False
    )


def test_the_client_imports_without_posix() -> None:
    """And a runtime of one's own is answered by what to do instead."""
    done = run()
    assert done.returncode == 0, done.stderr
    assert "connect to a GPU host with `%gpu_connect URL`, or use WSL" in done.stdout


def test_the_magics_import_without_posix() -> None:
    """The notebook's side runs on every system."""
    done = run("import jupyter_ext, jupyter_ext.magics")
    assert done.returncode == 0, done.stderr


def test_the_front_door_imports_nothing_early() -> None:
    """`import cellburst` loads none of what stands behind it."""
    program = "import sys, cellburst; print([m for m in sys.modules if m.startswith(('kernel_', 'jupyter_', 'httpx'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_front_door_is_there() -> None:
    """What `dir` shows can be had, and nothing else."""
    import cellburst

    for name in cellburst.__all__:
        assert getattr(cellburst, name).__name__ == name
        assert name in dir(cellburst)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        cellburst.Nothing  # noqa: B018
