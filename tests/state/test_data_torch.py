"""Tensors of every kind: types numpy does not know, shared memory, graphs of gradients that stay where they are."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::UserWarning")]

_T = "import torch\n"

CASES = [
    Case(
        id="D3 types numpy does not know",
        here=_T
        + """kinds = [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64,
         torch.bool, torch.uint8, torch.float16]
many = {str(kind): torch.ones(3).to(kind) for kind in kinds}
big = torch.linspace(0, 1, 50_000).to(torch.bfloat16)
was = id(big)""",
        there="there = [str(t.dtype) for t in many.values()]\nbig[0] = 0.5\n"
        "fp8 = many['torch.float8_e4m3fn'].to(torch.float32).sum().item()",
        after="there == list(many) and fp8 == 3 and id(big) == was and big[0] == 0.5 and big.dtype == torch.bfloat16"
        " and many['torch.bfloat16'].dtype == torch.bfloat16",
    ),
    Case(
        id="D3 sparse, in each layout",
        here=_T + "dense = torch.eye(3)\ncoo, csr = dense.to_sparse().coalesce(), dense.to_sparse_csr()",
        there="there = str(coo.layout), str(csr.layout), (coo @ dense)[1, 1].item()\ndouble = coo * 2",
        after="there == ('torch.sparse_coo', 'torch.sparse_csr', 1.0) and double.to_dense()[2, 2] == 2"
        " and csr.values().sum() == 3",
    ),
    Case(
        id="D3 quantised, nested, meta and conjugated",
        here=_T
        + """q = torch.quantize_per_tensor(torch.tensor([1., 2.]), 0.5, 0, torch.qint8)
nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
meta = torch.empty(4, 5, device='meta')
conj = torch.tensor([1 + 2j]).conj()""",
        there="there = q.q_scale(), nested.size(0), meta.device.type, conj.is_conj(), conj.imag.item()",
        after="there == (0.5, 2, 'meta', True, -2.0) and q.dequantize().tolist() == [1, 2] and meta.shape == (4, 5)"
        " and [part.sum().item() for part in nested.unbind()] == [2, 3]",
    ),
    Case(
        id="D3 views: reversed axes, one row, expanded, no dimension",
        here=_T + "base = torch.arange(20_000.).reshape(100, 200)\n"
        "T, row, wide, zero = base.T, base[3], torch.ones(1, 4).expand(500, 4), base[0, 0]",
        there="T[5, 0] = -1\nrow[1] = -2\nthere = wide.stride(), zero.shape",
        after="base[0, 5] == -1 and base[3, 1] == -2 and there == ((0, 1), torch.Size([])) and T.stride() == (1, 200)",
    ),
    Case(
        id="D3 an array and the tensor over its memory",
        here=_T
        + "import numpy as np\narr = np.zeros(6)\nt = torch.from_numpy(arr)\nback = torch.ones(4)\nview = back.numpy()",
        there="arr[0] = 1\nt[1] = 2\nview[2] = 3\nthere = t[0].item(), arr[1], back[2].item()",
        after="there == (1.0, 2.0, 3.0) and arr[:2].tolist() == [1, 2] and t[:2].tolist() == [1, 2] and back[2] == 3",
    ),
    Case(
        id="D4 a leaf and its gradient",
        here=_T + "w = torch.ones(3, requires_grad=True)\nwas = id(w)",
        there="(w * 2).sum().backward()\nwith torch.no_grad():\n  w -= w.grad",
        after="id(w) == was and w.tolist() == [-1] * 3 and w.grad.tolist() == [2] * 3 and w.is_leaf"
        " and w.requires_grad",
    ),
    Case(
        id="D4 a module, its optimizer and a step",
        here=_T + "torch.manual_seed(0)\nmodel = torch.nn.Linear(3, 1)\n"
        "opt = torch.optim.Adam(model.parameters())\nx = torch.ones(2, 3)\nweight = model.weight",
        there="loss = model(x).sum()\nloss.backward()\nopt.step()\nloss = loss.item()",
        after="isinstance(loss, float) and model.weight is weight and opt.param_groups[0]['params'][0] is weight"
        " and len(opt.state[weight]) == 3 and weight.grad is not None",
    ),
    Case(
        id="D3 sizes, devices, types, generators, packed sequences",
        here=_T
        + """size, device, kind = torch.Size([2]), torch.device('cpu'), torch.float16
gen = torch.Generator().manual_seed(3)
packed = torch.nn.utils.rnn.pack_sequence([torch.ones(2), torch.ones(1)])""",
        there="draw = torch.rand(1, generator=gen).item()\n"
        "there = size[0], device.type, kind is torch.float16, packed.batch_sizes.tolist()",
        after="there == (2, 'cpu', True, [2, 1])"
        " and torch.rand(1, generator=torch.Generator().manual_seed(3)).item() == draw"
        " and torch.rand(1, generator=gen).item() != draw",
    ),
    Case(
        id="D3 a tensor class of the notebook's",
        here=_T + "class Named(torch.Tensor):\n  pass\nn = torch.ones(3).as_subclass(Named)\nn.label = 'x'",
        there="there = type(n).__name__, n.label\nn += 1",
        after="there == ('Named', 'x') and type(n) is Named and n.label == 'x' and n.tolist() == [2] * 3",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)


def test_a_graph_stays_and_goes_on_there(shell: InteractiveShell) -> None:
    """D4: a loss is a handle that says why and what to do; the next cell takes its gradient from it."""
    shell.run_cell(_T + "w = torch.ones(3, requires_grad=True)")
    assert shell.run_cell("%%gpu A100\nloss = (w * 2).sum()\nvalue = loss.item()").success
    shown = shell.user_ns["loss"]
    assert type(shown).__name__ == "Handle"
    assert "detach()" in shown.info.reason
    assert shell.user_ns["value"] == 6
    assert shell.run_cell("%%gpu A100\nloss.backward()\nplain, grad = loss.detach(), w.grad").success
    assert shell.user_ns["w"].grad.tolist() == [2] * 3
    assert shell.user_ns["plain"].item() == 6


def test_a_graph_of_the_notebook_is_refused_with_the_way_out(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """D4: nothing is cut off in silence."""
    shell.run_cell(_T + "local_loss = (torch.ones(3, requires_grad=True) * 2).sum()")
    assert not shell.run_cell("%%gpu A100\nlocal_loss.item()").success
    assert ".detach()" in capsys.readouterr().out
