"""Tensors share their storage after the journey and remember their card."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import ReceivedUnit

pytestmark = pytest.mark.torch


class Side:
    """One end: a namespace and its mirror."""

    def __init__(self, **names: Any) -> None:
        self.names: dict[str, Any] = names
        self.mirror = Mirror(self.names, references=ReferenceTable())

    def send_to(self, other: Side) -> None:
        """Bring this end's values to the other end."""
        export = self.mirror.export(list(self.names))
        assert not export.refusals, export.refusals
        units = [
            ReceivedUnit(
                unit.names, unit.pickle, tuple(memoryview(bytearray(part)) for part in unit.buffers), unit.digests
            )
            for unit in export.units
        ]
        report = other.mirror.accept(units)
        assert not report.failures, report.failures


def send(source: dict[str, Any], target: dict[str, Any]) -> None:
    """Bring one namespace's values into an empty one."""
    there = Side()
    Side(**source).send_to(there)
    target.update(there.names)


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
    optimizer = torch.optim.SGD(torch.nn.ModuleList([one, two]).parameters(), lr=0.1)
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


def test_an_update_keeps_the_objects() -> None:
    """Weights trained on the far side land in the parameter that is here, for the module and its optimizer too."""
    torch = import_module("torch")
    model = torch.nn.Linear(200, 50)
    weight, start = model.weight, model.weight.detach().clone()
    here, there = Side(model=model, weight=weight, step=torch.optim.SGD(model.parameters(), lr=0.1)), Side()
    here.send_to(there)
    there.names["model"](torch.ones(3, 200)).sum().backward()
    there.names["step"].step()
    there.send_to(here)
    assert here.names["weight"] is model.weight is weight
    assert here.names["step"].param_groups[0]["params"][0] is weight
    assert not torch.equal(weight, start)
    assert torch.equal(weight, there.names["weight"])
    assert here.mirror.export(list(here.names)).units == ()


def test_an_updated_view_stays_one() -> None:
    """Base and view are both updated in place."""
    torch = import_module("torch")
    base = torch.arange(20000.0)
    here, there = Side(x=base, v=base[5:10]), Side()
    here.send_to(there)
    there.names["v"][0] = -1
    there.send_to(here)
    assert here.names["x"] is base
    assert base[5] == here.names["v"][0] == -1


def test_a_view_made_there_is_a_view_here() -> None:
    """A new view of a tensor that both ends have shares its memory."""
    torch = import_module("torch")
    here, there = Side(x=torch.arange(20000.0)), Side()
    here.send_to(there)
    there.names["v"] = there.names["x"][5:10]
    there.send_to(here)
    here.names["v"][0] = -1
    assert here.names["x"][5] == -1


def test_a_view_given_memory_of_its_own_is_no_view_here() -> None:
    """What is written to it is not written to its former base."""
    torch = import_module("torch")
    base = torch.arange(20000.0)
    both = [base, base[5:10]]
    here, there = Side(both=both), Side()
    here.send_to(there)
    there.names["both"][1].set_(torch.zeros(5))
    there.send_to(here)
    assert here.names["both"] is both
    assert (both[0][5].item(), both[1][0].item()) == (5, 0)


def test_tensors_that_cannot_be_written_are_replaced() -> None:
    """One whose elements share memory, and one made in inference mode."""
    torch = import_module("torch")
    with torch.inference_mode():
        inferred = torch.zeros(3)
    here, there = Side(wide=torch.zeros(1, 4).expand(3, 4), inferred=inferred), Side()
    here.send_to(there)
    there.names["wide"][0].fill_(2)
    there.names["inferred"] += 1
    there.send_to(here)
    assert here.names["wide"].sum() == 24
    assert here.names["inferred"].sum() == 3
