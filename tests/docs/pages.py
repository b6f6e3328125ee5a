"""The examples of a page: its blocks of Python are a notebook's cells, and a block of text under one is its output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"

_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """One cell, and what it is said to print; empty where nothing is said."""

    code: str
    output: str
    line: int  # of the page


def examples(page: Path) -> list[Example]:
    """Return a page's cells in their order."""
    text, found = page.read_text(), list[Example]()
    for block in _BLOCK.finditer(text):
        language, body = block.groups()
        if language == "python":
            found.append(Example(body, "", text.count("\n", 0, block.start()) + 1))
        elif language == "text" and found and not found[-1].output:
            found[-1] = Example(found[-1].code, body, found[-1].line)
    return found
