"""Values that have no pickle, or one that makes something else of them, and can be made again all the same."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_HOW: Final = ("search", "match", "fullmatch")


def reduce_match(found: re.Match[Any]) -> Any:
    """Reduce what a pattern found to the pattern and the text: finding it again is exact, or it stays."""
    for how, start in _ways(found):
        made = (how, found.re, found.string, start, found.endpos)
        again = make_match(*made)
        if again is not None and again.regs == found.regs:
            return make_match, made
    return NotImplemented


def make_match(how: str, pattern: re.Pattern[Any], text: Any, start: int, end: int) -> re.Match[Any] | None:
    """Find it again."""
    found: re.Match[Any] | None = getattr(pattern, how)(text, start, end)
    return found


def is_sentinel_type(kind: type) -> bool:
    """Whether a module keeps an object of a class of its own to mean something by being that object."""
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__bases__ != (object,) or kind.__module__ in {"__main__", "builtins"}:
        return False
    return any(type(value) is kind for value in vars(module).values())


def reduce_sentinel(value: object) -> Any:
    """Reduce such an object to its name in its module; one that holds something travels as it would without us."""
    if getattr(value, "__dict__", None):
        return NotImplemented
    names = vars(sys.modules[type(value).__module__])
    return next((name for name, known in names.items() if known is value), NotImplemented)


def is_closed_file(value: object) -> bool:
    """Whether it is a file that nobody can read or write any more."""
    kinds = (io.TextIOWrapper, io.BufferedIOBase, io.FileIO)
    return isinstance(value, kinds) and not isinstance(value, io.BytesIO) and value.closed


def reduce_closed_file(value: Any) -> Any:
    """Reduce a closed file to what it still says."""
    encoding = value.encoding if isinstance(value, io.TextIOWrapper) else None
    said = (getattr(value, "name", ""), str(getattr(value, "mode", "r")), encoding)
    return make_closed_file, (*said, isinstance(value, io.FileIO))


def make_closed_file(name: object, mode: str, encoding: str | None, raw: bool) -> Any:
    """Make a file that is closed already; nothing of that name is touched."""
    how = mode.replace("x", "w")
    if encoding is None and "b" not in how:
        how += "b"
    with Path(os.devnull).open(how, 0 if raw else -1, encoding) as file:
        made: Any = file
    inner = made if encoding is None else made.buffer
    getattr(inner, "raw", inner).name = name
    if encoding is not None:
        made.mode = mode
    return made


def is_plot_type(kind: type) -> bool:
    """Whether values of a type are figures of plotly, whose own pickle writes their arrays as text."""
    return kind.__module__ == "plotly.graph_objs._figure" and kind.__name__ == "Figure"


def reduce_plot(figure: Any) -> Any:
    """Reduce a figure to the properties it was made from, arrays included."""
    properties = {"data": list(figure._data), "layout": dict(figure._layout)}
    if frames := [frame.to_plotly_json() for frame in figure._frame_objs]:
        properties["frames"] = frames
    return type(figure), (properties | {"_grid_str": figure._grid_str, "_grid_ref": figure._grid_ref},)


def _ways(found: re.Match[Any]) -> Iterator[tuple[str, int]]:
    for start in (found.pos, found.start()):  # `finditer` looks from where it was
        for how in _HOW:
            yield how, start
