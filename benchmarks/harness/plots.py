"""A row as a picture: one bar a contestant. SVG without a background, in colours for light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from benchmarks.harness.records import RowRecord
from benchmarks.harness.verdicts import words_of_ms

mpl.use("svg")
from matplotlib import pyplot as plt  # the backend comes first

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images" / "benchmarks"
INK: Final = "#808080"  # 3.9 to 1 on white and 5.3 to 1 on black
OURS, PEER, LIMIT = "#e07b39", "#4c8fce", "#9a9a9a"
_STYLE: Final[Any] = {"svg.fonttype": "none", "svg.hashsalt": "cellburst", "font.family": "sans-serif", "font.size": 10}


def draw(row: RowRecord, folder: Path = FOLDER) -> Path:
    """Write a row's picture; return its path. The same figures give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{row.name}.svg"
    names = list(row.figures)[::-1]
    medians = [row.figures[name].median_ms for name in names]
    with mpl.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(8, 0.6 + 0.34 * len(names)), layout="constrained")
        bars = axes.barh(
            [name.replace("`", "") for name in names], medians, color=[_colour(row, name) for name in names]
        )
        axes.bar_label(bars, [words_of_ms(median) for median in medians], padding=4, color=INK)
        _quiet(axes, spread=max(medians) / min(medians), longest=max(medians))
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
        plt.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _colour(row: RowRecord, name: str) -> str:
    return OURS if name in row.ours else LIMIT if name in row.limits else PEER


def _quiet(axes: Any, *, spread: float, longest: float) -> None:
    """Leave only what says something; a wide spread gets a logarithmic axis, which is said."""
    if spread > 20:
        axes.set_xscale("log")
        axes.set_xlim(right=longest * 4)
        axes.set_xlabel("milliseconds, logarithmic", color=INK)
    else:
        axes.set_xlim(0, longest * 1.15)
        axes.set_xlabel("milliseconds", color=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=INK, length=0)
    axes.minorticks_off()
