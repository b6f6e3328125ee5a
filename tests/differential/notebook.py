"""Notebooks under test: percent-format files or .ipynb, with a few words of ours on their cells (see README.md)."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import nbformat

FOLDER: Final = Path(__file__).parent / "notebooks"
_BEGIN: Final = re.compile(r"^# %%(.*)$", re.MULTILINE)
_OURS: Final = re.compile(r"\s*(%%?gpu|%(un|re)?load_ext)\b")
_IMPORT: Final = re.compile(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", re.MULTILINE)
_NAMED: Final = frozenset({"group", "keeps", "differs"})
_REMOTE: Final = {"all": lambda index: True, "odd": lambda index: index % 2 == 0, "even": lambda index: index % 2 == 1}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of code."""

    source: str
    local: bool = False
    raises: bool = False
    group: str = ""
    keeps: frozenset[str] = field(default_factory=frozenset)
    differs: str = ""  # why it is known to differ when it is remote

    @classmethod
    def of(cls, source: str, words: list[str]) -> Cell:
        """Read the words on a cell; raises ValueError for one that means nothing."""
        named = dict(word.split("=", 1) for word in words if "=" in word)
        if unknown := [word for word in words if word not in {"local", "raises"} and word.split("=")[0] not in _NAMED]:
            raise ValueError(f"`{unknown[0]}` says nothing about a cell; see tests/differential/README.md")
        local = "local" in words or bool(_OURS.match(source)) or not _has_code(source)
        keeps = frozenset(filter(None, named.get("keeps", "").split(",")))
        why = named.get("differs", "").replace("-", " ")
        return cls(source.strip("\n"), local, "raises" in words, named.get("group", ""), keeps, why)


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook's cells of code, and the folder of what it reads."""

    name: str
    cells: tuple[Cell, ...]
    files: Path | None = None

    @property
    def imports(self) -> set[str]:
        """Return the top-level modules it names in its imports."""
        return {name for cell in self.cells for name in _IMPORT.findall(cell.source)}

    def chosen(self, which: str) -> frozenset[int]:
        """Return the cells to run remotely: `all`, `odd`, `even`, `1,3` (from 1 on), or `seed 7`.

        Those that are known to differ are among them only by their number.
        """
        able = [index for index, cell in enumerate(self.cells) if not cell.local and not cell.differs]
        if which in _REMOTE:
            chosen = {index for order, index in enumerate(able) if _REMOTE[which](order)}
        elif which.startswith("seed "):
            dice = random.Random(f"{self.name} {which}")
            chosen = {index for index in able if dice.random() < 0.5} or {dice.choice(able)}
        else:
            chosen = {int(number) - 1 for number in which.split(",")}
        together = {self.cells[index].group for index in chosen} - {""}
        return frozenset(chosen | {index for index in able if self.cells[index].group in together})


def all_notebooks() -> list[Path]:
    """Return the files of the corpus."""
    return sorted(path for path in FOLDER.iterdir() if path.suffix in {".py", ".ipynb"})


def read(path: Path) -> Notebook:
    """Read a notebook."""
    files = path.with_suffix("")
    made = _percent if path.suffix == ".py" else _ipynb
    return Notebook(path.stem, tuple(made(path)), files if files.is_dir() else None)


def _percent(path: Path) -> list[Cell]:
    _, *parts = _BEGIN.split(path.read_text())
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [Cell.of(source, words.split()) for words, source in pairs if "[markdown]" not in words.split()]


def _ipynb(path: Path) -> list[Cell]:
    read = nbformat.read(path, as_version=4)
    return [
        Cell.of(cell.source, _tags(cell)) for cell in read.cells if cell.cell_type == "code" and cell.source.strip()
    ]


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    known = {"raises-exception": "raises"}
    tags = [known.get(tag, tag) for tag in cell.metadata.get("tags", ())]
    return [tag for tag in tags if tag in {"local", "raises"} or tag.split("=")[0] in _NAMED]


def _has_code(source: str) -> bool:
    try:
        return bool(ast.parse(source).body)
    except SyntaxError:
        return True  # a magic, or what is meant not to be Python
