"""What a library keeps for all of its objects ties no two of them together."""

from __future__ import annotations

import io
from typing import Any

from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.walk import survey


def test_two_figures_share_nothing() -> None:
    """Not the settings they were made by, nor the paths of markers, nor the functions of the renderer."""
    from matplotlib.figure import Figure

    surveys = [survey(_drawn(Figure()), {}, ReferenceTable()) for _ in range(2)]
    assert not surveys[0].ids & surveys[1].ids


def _drawn(figure: Any) -> Any:
    figure.subplots().plot([1, 2], "o", label="line")
    figure.savefig(io.BytesIO(), format="png")
    return figure
