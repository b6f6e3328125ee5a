"""Tensors share their storage after the journey and remember their card."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import ReceivedUnit

pytestmark = pytest.mark.torch


def send(source: dict[str, Any], target: dict[str, Any]) -> None:
    """Bring one namespace's values into another."""
    export = Mirror(source, references=ReferenceTable()).export(list(source))
    assert not export.refusals, export.refusals
    units = [
        ReceivedUnit(unit.names, unit.pickle, tuple(memoryview(bytearray(part)) for part in unit.buffers), unit.digests)
        for unit in export.units
    ]
    report = Mirror(target, references=ReferenceTable()).accept(units)
    assert not report.failures, report.failures


def test_views_share_storage() -> None:
    """A view written on the far side is seen in its base."""
    torch = import_module("torch")
    base = torch.arange(20000.0)
    there: dict[str, Any] = {}
    send({"x": base, "v": base[5:10]}, there)
    there["v"][0] = -1
    assert there["x"][5] == -1


def test_tied_weights_and_optimizer_parameters_stay_tied() -> None:
    """A module, the weight it shares with another, and the optimizer over it are one."""
    torch = import_module("torch")
    one, two = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    two.weight = one.weight
    optimizer = torch.optim.SGD([*one.parameters(), *two.parameters()][:3], lr=0.1)
    there: dict[str, Any] = {}
    send({"one": one, "two": two, "optimizer": optimizer}, there)
    assert there["one"].weight is there["two"].weight
    assert there["optimizer"].param_groups[0]["params"][0] is there["one"].weight


def test_types_numpy_does_not_know() -> None:
    """bfloat16 arrives bit for bit."""
    torch = import_module("torch")
    there: dict[str, Any] = {}
    send({"x": torch.linspace(0, 1, 100).to(torch.bfloat16)}, there)
    assert torch.equal(there["x"], torch.linspace(0, 1, 100).to(torch.bfloat16))


def test_a_tensor_with_a_graph_is_refused_with_the_way_out() -> None:
    """The result of a recorded computation says how to send it."""
    torch = import_module("torch")
    loss = (torch.ones(3, requires_grad=True) * 2).sum()
    (refusal,) = Mirror({"loss": loss}, references=ReferenceTable()).export(["loss"]).refusals
    assert ".detach()" in refusal.reason
