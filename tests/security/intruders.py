"""Cells that attack: run on a real runtime of root (`sandboxed`) and on one of an ordinary user (`confined`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel_bridge.errors import CellburstError
from remote_runtime.trash import remove_tree

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
ORDINARY_UID = 1_234_567
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="a runtime of root takes root")

AS_TEXT = "import json as _json\nresult = _json.dumps(result)"  # nothing of it is shared with what stays
PLANE = """
from contextlib import ExitStack
from kernel_bridge.client.embedded import ensure_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig
with ControlPlane(ensure_runtime(ClientConfig.load())) as plane, ExitStack() as opened:
    result = {}
"""

# What attacks are written with. A call that is refused returns the name of its error, one that went through a number.
TOOLS = (HERE / "attack_tools.py").read_text()


class Failed(CellburstError):
    """A cell that should have run did not."""


class Intruder:
    """A notebook on a runtime of its own, whose cells want out."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.mode = mode
        self.folder = folder  # of the runtime: data, runtime, config, home
        self.uid = os.geteuid() if mode == "sandboxed" or os.geteuid() != 0 else ORDINARY_UID
        self._ready: set[str] = set()
        self._process = self._start()

    def cell(self, code: str, *, session: str = "attacker", options: str = "") -> Any:
        """Run a cell with the tools at hand; returns its `result`. Raises Failed."""
        if session not in self._ready:
            self._ask(code=TOOLS, options=f"--session {session} {options} --leave all")
            self._ready.add(session)
        options = f"--session {session} {options} --out result"
        return json.loads(self._ask(code=f"{code}\n{AS_TEXT}", options=options)["result"])

    def local(self, code: str) -> Any:
        """Run a cell in the notebook itself; returns its `result`. Raises Failed."""
        return self._ask(code=code, local=True)["result"]

    def isolation(self) -> str:
        """Return the runtime's own word for its walls."""
        return str(self.plane("plane.runtime().isolation"))

    def plane(self, expression: str) -> Any:
        """Ask the control plane, which is called `plane`."""
        return self.local(PLANE.format(expression))

    def works(self, session: str = "attacker") -> bool:
        """Tell whether a session's cells run as ever."""
        return bool(self.cell("result = sum(range(10))", session=session) == 45)

    def ask(self, **asked: Any) -> dict[str, Any]:
        """Have the notebook run a cell; returns how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"The notebook ended: {(self.folder / 'driver.log').read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the notebook and its runtime."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, **asked: Any) -> dict[str, Any]:
        answer = self.ask(**asked)
        if not answer["ok"]:
            raise Failed(f"{answer['error']}\n{answer['text']}")
        return answer

    def _start(self) -> subprocess.Popen[str]:
        for name in ("home", "config", "data", "runtime", "ipython", "notebook"):
            (self.folder / name).mkdir(mode=0o700)
        command = [sys.executable, str(HERE / "driver.py")]
        if self.uid != os.geteuid():
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self.uid, self.uid)
            paths = sorted({sys.prefix, sys.base_prefix, str(REPOSITORY)})
            command = [sys.executable, str(HERE / "ordinary.py"), str(self.uid), *paths, "--", *command]
        with (self.folder / "driver.log").open("w") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment(),
                cwd=self.folder / "notebook",
            )

    def _environment(self) -> dict[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "PYTHONPATH", "PYTHONSAFEPATH", "LANG") if name in os.environ
        }
        places = {f"CELLBURST_{name.upper()}_DIR": str(self.folder / name) for name in ("config", "data", "runtime")}
        more = {"HOME": str(self.folder / "home"), "IPYTHONDIR": str(self.folder / "ipython"), "USER": "somebody"}
        return {**kept, **places, **more}


# Where both can be had, the second is for the long tests.
AS_USER: Final = [pytest.mark.slow] if os.geteuid() == 0 else []


@pytest.fixture(
    scope="session", params=[pytest.param("sandboxed", marks=AS_ROOT), pytest.param("confined", marks=AS_USER)]
)
def intruder(request: pytest.FixtureRequest) -> Iterator[Intruder]:
    """A notebook with ill intent, on a runtime of each kind."""
    if sys.platform != "linux":
        pytest.skip("walls are Linux's")
    folder = Path(tempfile.mkdtemp(prefix="cb"))
    folder.chmod(0o711)
    opened = Intruder(request.param, folder)
    try:
        if (word := opened.isolation()) == "open":
            pytest.skip("this host allows no walls")  # where CI runs, that is a failure
        assert word == request.param
        yield opened
    finally:
        opened.close()
        remove_tree(folder)  # a failed test may leave what `shutil.rmtree` cannot
