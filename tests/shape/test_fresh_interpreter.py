"""What a fresh interpreter loads: static contracts do not see a package's `__init__` run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

LIST_MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"
ALL_OF = """
import importlib, pkgutil
for top in {packages!r}:
    package = importlib.import_module(top)
    for found in pkgutil.walk_packages(package.__path__, top + "."):
        if not found.name.rpartition(".")[2].startswith("__main__"):
            importlib.import_module(found.name)
"""
NOT_UNIX = """
import sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
import socket
if hasattr(socket, "AF_UNIX"):
    del socket.AF_UNIX
"""


def loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the names of the modules it has then."""
    return set(json.loads(run(code + "\n" + LIST_MODULES)))


def run(code: str) -> Any:
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ours(modules: set[str], *tops: str) -> set[str]:
    """Return the modules that are, or are below, one of these."""
    return {name for name in modules if any(name == top or name.startswith(top + ".") for top in tops)}


def test_the_wire_loads_nothing_of_the_notebook() -> None:
    """Importing the protocol brings neither SDK nor client nor codecs."""
    modules = loaded_by(ALL_OF.format(packages=["kernel_bridge.protocol"]))
    above = [f"kernel_bridge.{name}" for name in ("sdk", "client", "codecs", "capture", "cli", "config")]
    assert ours(modules, *above, "cloudpickle", "asyncio", "jupyter_ext", "remote_runtime") == set()


def test_the_control_plane_cannot_unpickle() -> None:
    """A running control plane has loaded no pickler of ours and no cloudpickle."""
    modules = loaded_by("import remote_runtime.app, remote_runtime.__main__")
    forbidden = [f"kernel_bridge.{name}" for name in ("sdk", "client", "codecs", "capture")]
    assert ours(modules, *forbidden, "cloudpickle", "remote_runtime.agent", "jupyter_ext", "IPython") == set()


def test_the_agent_stays_light() -> None:
    """The agent loads no server, no database and no HTTP client of the control plane."""
    modules = loaded_by(ALL_OF.format(packages=["remote_runtime.agent"]))
    heavy = ("fastapi", "sqlalchemy", "uvicorn", "cryptography", "httpx2", "numpy", "pandas", "torch")
    assert ours(modules, *heavy, "kernel_bridge.client", "kernel_bridge.sdk", "jupyter_ext") == set()


def test_the_front_door_loads_on_demand() -> None:
    """`import cellburst` costs next to nothing."""
    modules = loaded_by("import cellburst")
    assert ours(modules, "numpy", "fastapi", "sqlalchemy", "remote_runtime", "cryptography", "websockets") == set()


@pytest.mark.parametrize("packages", [["kernel_bridge"], ["jupyter_ext"]])
def test_the_client_imports_where_unix_is_missing(packages: list[str]) -> None:
    """The notebook's end imports without fcntl, pwd, resource, termios and AF_UNIX."""
    run(NOT_UNIX + ALL_OF.format(packages=packages) + "\nimport cellburst")
