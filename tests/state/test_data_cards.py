"""Tensors on cards, for a machine that has one: home to a notebook that sees none, and up again to the right one.

The notebook's process hides the cards from itself; its containers are given theirs by the runtime.
"""

from __future__ import annotations

import atexit
import importlib.util
import subprocess
from collections.abc import Iterator
from importlib import import_module

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.config import ClientConfig
from tests.state.table import Case, run_remotely


def _cards() -> int:
    if importlib.util.find_spec("torch") is None:
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return len(listed.splitlines())


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(_cards() == 0, reason="needs a card and torch"),
]

_T = "import torch\n"


@pytest.fixture(scope="module", autouse=True)
def no_card_here() -> Iterator[None]:
    """A laptop's torch: it sees no card, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


@pytest.fixture(scope="module")
def shell(no_card_here: None, config: ClientConfig) -> Iterator[InteractiveShell]:
    """A notebook without a card and a runtime with real ones."""
    del no_card_here, config
    assert not import_module("torch").cuda.is_available()
    made = InteractiveShell()
    made.run_line_magic("load_ext", "cellburst")
    yield made
    made.run_line_magic("unload_ext", "cellburst")
    atexit.unregister(made.atexit_operations)
    made.atexit_operations()


ROWS = [
    Case(
        id="D1 to the card, home, and up again to it",
        here=_T + "x = torch.arange(4.)",
        there="y = x.cuda()\nm = torch.nn.Linear(4, 1).cuda()",
        after="y.device.type == 'cpu' and y.tolist() == [0, 1, 2, 3] and m.weight.device.type == 'cpu'",
    ),
    Case(
        id="D1 up again",
        there="there = y.device.type, y.device.index, m.weight.device.type\nz = m(y)\nz = z.item()",
        after="there == ('cuda', 0, 'cuda') and isinstance(z, float)",
    ),
    Case(
        id="D1 changed here meanwhile, as a tensor of the processor",
        here="y[0] = 5.",
        there="there = y.device.type, y[0].item()\ny *= 2",
        after="there == ('cuda', 5.0) and y.tolist() == [10, 2, 4, 6]",
    ),
    Case(
        id="D1 trained there: the same parameters, in place",
        here=_T + "m = torch.nn.Linear(2, 1)\nw = m.weight\nopt = torch.optim.SGD(m.parameters(), lr=.1)",
        there="m(torch.ones(3, 2)).sum().backward()\nopt.step()\ntrained = m.weight.detach().clone().cuda()",
        after="m.weight is w and opt.param_groups[0]['params'][0] is w and torch.equal(w.detach(), trained)",
    ),
    Case(
        id="D3 half types and views on the card",
        here=_T,
        there="b = torch.arange(100, device='cuda').to(torch.bfloat16)\nv = b[10:20]\nq = b.to(torch.float8_e4m3fn)",
        after="b.dtype == torch.bfloat16 and v.tolist() == list(range(10, 20)) and q.dtype == torch.float8_e4m3fn",
    ),
    Case(
        id="D3 a view is still one up there",
        there="v[0] = -1\nthere = b[10].item(), v.device.type",
        after="there == (-1.0, 'cuda') and b[10] == -1",
    ),
]


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_tensors_go_home_and_up_again(shell: InteractiveShell, case: Case) -> None:
    """They are the processor's here and the card's there."""
    run_remotely(shell, case, card="any")


def test_a_card_that_is_not_there_is_the_last_one(shell: InteractiveShell) -> None:
    """D2: what lived on the fourth card goes up to the last one there is, and is still said to have lived there."""
    shell.run_cell(_T + "far = torch.ones(2)\nfar._cellburst_device = 'cuda:63'")
    assert shell.run_cell("%%gpu any\nthere = far.device.type, far.device.index, torch.cuda.device_count()").success
    kind, index, count = shell.user_ns["there"]
    assert (kind, index) == ("cuda", count - 1)


def test_streams_events_and_graphs_of_the_card_stay(shell: InteractiveShell) -> None:
    """D5: they are handles with the reason, and the next cell uses them."""
    made = "stream, event, graph = torch.cuda.Stream(), torch.cuda.Event(), torch.cuda.CUDAGraph()"
    assert shell.run_cell(f"{_T}").success
    assert shell.run_cell(f"%%gpu any\nimport torch\n{made}").success
    assert [type(shell.user_ns[name]).__name__ for name in ("stream", "event", "graph")] == ["Handle"] * 3
    assert shell.run_cell("%%gpu any\nevent.record(stream)\nstream.synchronize()\ndone = event.query()").success
    assert shell.user_ns["done"] is True


def test_a_graph_of_gradients_on_the_card_stays(shell: InteractiveShell) -> None:
    """D4: the loss of a model on the card is a handle that offers `.detach()`."""
    shell.run_cell(_T)
    assert shell.run_cell(
        "%%gpu any\nw = torch.ones(3, device='cuda', requires_grad=True)\nloss = (w * 2).sum()"
    ).success
    assert "detach()" in shell.user_ns["loss"].info.reason
    assert shell.user_ns["w"].device.type == "cpu"
