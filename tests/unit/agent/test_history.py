"""What a session keeps of the cells it has run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Start = Callable[..., Any]


def test_inputs_do_not_pile_up_in_the_namespace(start: Start) -> None:
    """`_i1`, `_i2`, ... would make each cell slower than the one before: the notebook sends those that a cell reads."""
    container = start()
    for _ in range(3):
        container.run("x = 1")
    container.run("print([name for name in globals() if name[:2] == '_i' and name[2:].isdigit()], In[-2])")
    assert container.text() == "[] x = 1\n"
