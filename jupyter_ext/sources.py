"""The texts of cells, for tracebacks and `inspect.getsource`: each side shows the lines that ran on the other."""

from __future__ import annotations
import __future__

import linecache
import re
from typing import Any, Final

from IPython import get_ipython

from jupyter_ext.notebook import cell_number
from kernel_bridge.protocol.cells import CellReply

_NUMBER: Final = re.compile(r"\d+")


def source_of(name: str) -> tuple[str, int]:
    """Return the text and number of one of the notebook's cells: never of a file, which has a time of modification."""
    entry: Any = linecache.cache.get(name, ())
    compiler = getattr(get_ipython(), "compile", None)
    _, title = (compiler.format_code_name(name) if compiler is not None else None) or ("", "")  # as in `In[7]`
    number = _NUMBER.search(title)
    return "".join(entry[2]) if entry and entry[1] is None else "", int(number[0]) if number else 0


def defers_annotations(shell: Any) -> bool:
    """Tell whether a cell has said `from __future__ import annotations`."""
    return bool(shell.compile.flags & __future__.annotations.compiler_flag)


def remember(shell: Any, reply: CellReply, code: str) -> None:
    """Let functions that a cell left behind show their lines here, and later cells be compiled as it wanted."""
    name = reply.filename
    if reply.deferred_annotations:
        shell.compile.flags |= __future__.annotations.compiler_flag
    if not name:
        return
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    numbers: dict[str, int] | None = getattr(shell.compile, "_filename_map", None)
    if numbers is not None:
        numbers[name] = cell_number(shell)
