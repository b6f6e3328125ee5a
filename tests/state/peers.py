"""Another notebook of the same user, in a process of its own: it runs the cells it is told and says how each ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[2]


class Peer:
    """A notebook without a face. `process` may be stopped and killed; `session` is what its user calls the session."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.session = ""

    def begin(self, code: str) -> None:
        """Have a cell begun."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"local": True, "code": code}) + "\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, Any]:
        """Wait for the end of a cell: `ok`, `error`, `text` that it showed, and `result`."""
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"ok": false, "error": "it ended"}')
        return answer

    def run(self, code: str) -> dict[str, Any]:
        """Run a cell and wait for its end."""
        self.begin(code)
        return self.end()


@contextlib.contextmanager
def another_notebook(folder: Path) -> Iterator[Peer]:
    """Open a notebook in a folder, on this environment's runtime; it is killed in the end."""
    env = os.environ | {"PYTHONPATH": str(_ROOT), "PYTHONSAFEPATH": ""}
    command = [sys.executable, "-m", "tests.security.driver"]
    with subprocess.Popen(
        command, env=env, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()
