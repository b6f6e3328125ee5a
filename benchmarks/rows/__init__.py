"""The rows of the page, one module each. A module's docstring says on the page how it is measured."""

from __future__ import annotations

from typing import Final

ROWS: Final = (
    "warm_cell",
    "many_cells",
    "first_line",
    "printed_lines",
    "arrays",
    "blobs",
    "new_kernel",
    "resume",
    "frozen",
    "environment",
    "weights",
    "load_process",
    "load_fake",
)
