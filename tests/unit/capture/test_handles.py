"""Handles show what they stand for and refuse everything else."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernel_bridge.capture.handle import Handle, HandleInfo, describe
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.errors import NotFound, RemoteValueError

INFO = HandleInfo("s", "k", "model", "torch.nn.Sequential", device="A100", size_bytes=3_200_000_000)
USES: list[Callable[[Any], object]] = [
    lambda h: h.weight,
    lambda h: h(1),
    lambda h: h[0],
    len,
    bool,
    list,
    lambda h: h + 1,
    lambda h: 1 + h,
    lambda h: h == 1,
    lambda h: h < 1,
    lambda h: 1 in h,
    operator.neg,
    float,
    lambda h: h @ h,
    np.asarray,
    lambda h: np.ones(2) * h,
    pickle.dumps,
    lambda h: f"{h:.2f}",
    lambda h: setattr(h, "x", 1),
    lambda h: h.__enter__(),
]


@pytest.mark.parametrize("use", USES)
def test_every_use_says_where_the_value_is(use: Callable[[Any], object]) -> None:
    """Any use but showing, fetching and identity raises one clear line."""
    with pytest.raises(RemoteValueError, match=r"model \(3.2 GB on A100\) lives remotely; model.fetch\(\) or use it"):
        use(Handle(INFO, lambda _: 1))


def test_what_a_handle_can_do() -> None:
    """It shows itself, fetches, hashes by identity, and lets tools probe it."""
    handle = Handle(INFO, lambda info: info.key)
    assert repr(handle) == "<model: torch.nn.Sequential, 3.2 GB on A100, remote>"
    assert handle.fetch() == "k"
    assert handle in {handle}
    assert not hasattr(handle, "_ipython_display_")
    assert not hasattr(handle, "_repr_mimebundle_")
    assert HandleInfo.from_wire(INFO.to_wire()) == INFO


def test_describe_an_array() -> None:
    """Shape, dtype and size are read without importing a library."""
    info = describe(np.zeros((2, 3)), name="x", session="s", key="k", reason="too large")
    assert (info.type, info.shape, info.dtype, info.size_bytes) == ("numpy.ndarray", "(2, 3)", "float64", 48)


def test_a_released_value_is_not_found() -> None:
    """After release the name leads nowhere, and says what to do."""
    table = ReferenceTable(session="s")
    value = {"a": 1}
    reference = table.keep(value, "k")
    assert table.find("handle", reference.info.to_wire()) is value
    table.release(["k"])
    with pytest.raises(NotFound, match="run the cell that made it again"):
        table.find("handle", reference.info.to_wire())
    assert table.refer(value) is None
