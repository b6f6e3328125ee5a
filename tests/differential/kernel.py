"""A real kernel, driven as a front end does: cells go in, outputs and the structure of the namespace come out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jupyter_client.manager import KernelManager

from tests.differential.notebook import Notebook

_TESTS: Final = Path(__file__).parents[1]
_CELL_S: Final = 240
_START_S: Final = 120
# The tests' own modules, without the checkout on the path: the extension is the installed one.
_WATCH: Final = """
def _begin():
    import sys, types
    for name, path in (("tests", {tests!r}), ("tests.differential", {tests!r} + "/differential")):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [path]
    from tests.differential.inside.watch import watch
    watch(get_ipython(), {folder!r})
_begin(); del _begin
"""

Lines = list[list[str]]


@dataclass(slots=True)
class Output:
    """What is shown below a cell: a stream's text, a display's bundle, an error."""

    kind: str
    name: str
    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class After:
    """What there is after a cell: its outputs, and of each name the lines that tell its value."""

    outputs: list[Output]
    names: Mapping[str, Lines]
    error: str


def run(notebook: Notebook, remote: frozenset[int], folder: Path, before: str = "") -> Iterator[After]:
    """Run a notebook in a kernel of its own and in a fresh folder, some cells under `%%gpu`."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(notebook.files, folder) if notebook.files else folder.mkdir(parents=True)
    told = folder.with_name(f"{folder.name}-told")
    shutil.rmtree(told, ignore_errors=True)
    told.mkdir()
    with _kernel(folder) as kernel:
        _execute(kernel, _WATCH.format(tests=str(_TESTS), folder=str(told)), silent=True)
        _execute(kernel, before, silent=True)
        for index, cell in enumerate(notebook.cells):
            source = f"%%gpu A100\n{cell.source}" if index in remote else cell.source
            outputs, error = _execute(kernel, source)
            [*_, last] = sorted(told.iterdir(), key=lambda path: int(path.stem))
            yield After(outputs, json.loads(last.read_text()), error)


@contextlib.contextmanager
def _kernel(folder: Path) -> Iterator[Any]:
    sockets = tempfile.mkdtemp(prefix="cb")  # a socket's path is short
    manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
    env = os.environ | {"PYTHONHASHSEED": "0", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    env.pop("PYTHONSAFEPATH", None)  # a notebook imports what lies beside it
    manager.start_kernel(cwd=str(folder), env=env)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=_START_S)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.cleanup_resources()
        shutil.rmtree(sockets, ignore_errors=True)


def _execute(kernel: Any, source: str, *, silent: bool = False) -> tuple[list[Output], str]:
    collected = _Collected()
    reply = kernel.execute_interactive(
        source, silent=silent, allow_stdin=False, output_hook=collected.take, timeout=_CELL_S
    )
    content = reply["content"]
    error = f"{content['ename']}: {content['evalue']}" if content["status"] == "error" else ""
    if silent and error:
        raise RuntimeError("\n".join(content.get("traceback", [error])))
    return collected.outputs, error


class _Collected:
    """Outputs as a front end has them below the cell, cleared and updated ones included."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self._clear_next = False
        self._displays: dict[str, list[Output]] = {}

    def take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            self._clear_next = bool(content.get("wait"))
            self.outputs = self.outputs if self._clear_next else []
        elif kind == "update_display_data":
            for shown in self._displays.get(content["transient"]["display_id"], ()):
                shown.data, shown.metadata = content["data"], content["metadata"]
        elif kind in {"stream", "display_data", "execute_result", "error"}:
            self._append(kind, content)

    def _append(self, kind: str, content: dict[str, Any]) -> None:
        if self._clear_next:
            self.outputs, self._clear_next = [], False
        if kind == "stream":
            self.outputs.append(Output(kind, content["name"], {"text": content["text"]}))
        elif kind == "error":
            data = {"says": f"{content['ename']}: {content['evalue']}", "traceback": "\n".join(content["traceback"])}
            self.outputs.append(Output(kind, "", data))
        else:
            number = str(content.get("execution_count", ""))
            shown = Output(kind, number, content["data"], content["metadata"])
            self.outputs.append(shown)
            self._displays.setdefault(content.get("transient", {}).get("display_id", ""), []).append(shown)
