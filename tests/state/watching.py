"""What a notebook shows besides its values: footers and their figures."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell


def footers(shell: InteractiveShell, patch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return a list to which every footer shown from now on adds its figures."""
    seen: list[dict[str, Any]] = []
    show = shell.display_pub.publish

    def publish(data: dict[str, Any], metadata: dict[str, Any] | None = None, **others: Any) -> None:
        figures = (metadata or {}).get("cellburst", {})
        if figures.get("footer"):
            seen.append(figures)
        show(data, metadata, **others)

    patch.setattr(shell.display_pub, "publish", publish)
    return seen
