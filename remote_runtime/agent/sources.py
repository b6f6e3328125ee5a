"""The text of the notebook's cells, asked for when a traceback or `inspect.getsource` wants to show a function's lines.

IPython keeps it in `linecache`; here that is a dict that asks the notebook for the cells it does not know.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from typing import Any, Final

_CELL: Final = re.compile(r"<ipython-input-|.*[/\\]ipykernel_\d+[/\\]")

Fetch = Callable[[str], tuple[str, int]]  # the text and number of a cell by its file name; empty when nobody has it
Note = Callable[[str, int], None]


class SourceCache(dict[str, Any]):
    """`linecache.cache`, with the notebook's cells."""

    def __init__(self, fetch: Fetch, note: Note) -> None:
        super().__init__(linecache.cache)
        self._fetch = fetch
        self._note = note  # takes a cell's number
        self._unknown: set[str] = set()

    def install(self) -> None:
        """Be the cache from now on."""
        linecache.cache = self

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or (isinstance(name, str) and self._found(name))

    def _found(self, name: str) -> bool:
        if name in self._unknown or not _CELL.match(name):
            return False
        self._unknown.add(name)  # also while it is asked for: the asking may look at the cache
        text, number = self._fetch(name)
        if text:
            self[name] = (len(text), None, text.splitlines(keepends=True), name)
            self._note(name, number)
        return bool(text)
