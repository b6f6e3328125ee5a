"""A notebook without a face: runs the cells it is told on stdin, on a runtime of its own, and says how each ended.

A line asks `{"code": ..., "options": ..., "local": bool}`; the answer is `{"ok": ..., "error": ..., "text": ...,
"result": ...}`, where `result` is what the notebook has under that name afterwards.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Any, TextIO

from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.client.embedded import running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig


def main() -> None:
    """Answer every line, then stop the runtime."""
    answers = _own_stdout()
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "cellburst")
    for line in sys.stdin:
        answers.write(json.dumps(_run(shell, json.loads(line))) + "\n")
        answers.flush()
    with contextlib.redirect_stdout(io.StringIO()):
        shell.run_line_magic("unload_ext", "cellburst")
    config = ClientConfig.load()
    if running_runtime(config) is not None:
        with ControlPlane(config.embedded_address()) as plane:
            plane.stop_runtime()
        wait_until_gone(config)


def _run(shell: InteractiveShell, asked: dict[str, Any]) -> dict[str, Any]:
    shell.user_ns.pop("result", None)
    head = "" if asked.get("local") else f"%%gpu cpu --quiet {asked.get('options', '')}\n"
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        ended = shell.run_cell(head + asked["code"])
    error = ended.error_before_exec or ended.error_in_exec
    return {
        "ok": ended.success,
        "error": f"{type(error).__name__}: {error}" if error else "",
        "text": heard.getvalue(),
        "result": shell.user_ns.get("result"),
    }


def _own_stdout() -> TextIO:
    """Keep the line to the test for the answers alone."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
