"""Example notebooks that installed packages ship, as far as they run here: nobody wrote them for these tests."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ELSEWHERE: Final = re.compile(
    r"https?://|download|fetch_|urlopen|requests\.|sampledata|notebook_extension|getpass|input\("
)
_MOST_CELLS: Final = 60


def shipped_notebooks() -> list[Path]:
    """Return the notebooks of installed packages whose code can be read, and needs neither the network nor a person."""
    found = {path.resolve() for name in _packages() for path in name if path.suffix == ".ipynb"}
    return [path for path in sorted(found) if path.is_file() and _runs_here(path)]


def _packages() -> Iterator[list[Path]]:
    for package in importlib.metadata.distributions():
        yield [Path(str(file.locate())) for file in package.files or () if file.suffix == ".ipynb"]


def _runs_here(path: Path) -> bool:
    try:
        cells = json.loads(path.read_text())["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        tree = ast.parse("\n".join(line for source in sources for line in source.splitlines() if line[:1] not in "%!"))
    except (ValueError, KeyError, SyntaxError):
        return False
    names = {name for node in ast.walk(tree) for name in _imported(node)}
    able = all(importlib.util.find_spec(name) for name in names)
    return bool(tree.body) and len(sources) <= _MOST_CELLS and able and not _ELSEWHERE.search("\n".join(sources))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    return [node.module.split(".")[0]] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
