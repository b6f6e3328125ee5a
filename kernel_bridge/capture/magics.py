"""What a magic's or a system command's text says about the names it uses."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass, replace
from typing import Final

# Magics whose argument or body is Python that runs in the namespace.
_PYTHON: Final = frozenset({"time", "timeit", "prun", "capture", "memit", "lprun", "mprun", "gpu", "debug"})
# Magics that may touch any name.
_ANY_NAME: Final = frozenset({"run", "macro", "store", "reset", "reset_selective", "who", "whos", "who_ls", "xdel"})
_INSPECTING: Final = frozenset({"pinfo", "pinfo2", "psource", "pdoc", "pdef", "pfile"})
_NAME: Final = re.compile(r"(?<!\$)\$\{?([A-Za-z_]\w*)")
_BRACED: Final = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")
_OPTION: Final = re.compile(r"\s*-[A-Za-z]\s*\d[\w.]*(?:\s+|$)|\s*--?\w+(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class MagicNames:
    """Names a magic expands, Python it runs, and whether it may use any name."""

    names: frozenset[str] = frozenset()
    code: tuple[str, ...] = ()
    dynamic: bool = False
    words: tuple[str, ...] = ()  # of its line: any may name a file


def read(call: ast.Call) -> MagicNames | None:
    """Return what a call such as `get_ipython().run_line_magic('time', 'f(x)')` uses; None for another call."""
    if not isinstance(call.func, ast.Attribute) or not _is_get_ipython(call.func.value):
        return None
    texts = [part.value for part in call.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    if call.func.attr in {"system", "getoutput"} and texts:
        return replace(expanded(texts[0]), words=_words(texts[0]))
    if call.func.attr == "run_line_magic" and len(texts) >= 2:
        return _line_magic(texts[0], texts[1])
    if call.func.attr == "run_cell_magic" and len(texts) >= 3:
        return _cell_magic(*texts[:3])
    return MagicNames(dynamic=call.func.attr not in {"set_next_input", "run_line_magic", "run_cell_magic"})


def expanded(text: str) -> MagicNames:
    """Return what `$name` and `{expression}` in a command line read."""
    names = frozenset(_NAME.findall(text))
    code = tuple(part.strip() for part in _BRACED.findall(text) if _parses(part.strip()))
    return MagicNames(names, code)


def _line_magic(name: str, line: str) -> MagicNames:
    found = expanded(line)
    if name in _INSPECTING:
        return MagicNames(frozenset(re.findall(r"^\s*([A-Za-z_]\w*)", line)))
    if name in _PYTHON:
        return MagicNames(found.names, (*found.code, _python_part(line)))
    return MagicNames(found.names, found.code, name in _ANY_NAME, _words(line))


def _cell_magic(name: str, line: str, body: str) -> MagicNames:
    found = _line_magic(name, line)
    if name in _PYTHON:
        return MagicNames(found.names, (*found.code, body), found.dynamic)
    return found


def _words(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line))
    except ValueError:  # a quote that is not closed
        return tuple(line.split())


def _python_part(line: str) -> str:
    """Return a magic's line without the options before its code."""
    while not _parses(line) or line.lstrip().startswith("-"):
        option = _OPTION.match(line)
        if option is None or not option.end():
            break
        line = line[option.end() :]
    return line.strip()


def _parses(text: str) -> bool:
    try:
        ast.parse(text.strip())
    except (SyntaxError, ValueError):
        return False
    return True


def _is_get_ipython(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"
