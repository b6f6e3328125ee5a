"""State back, torch: parameters stay the tensors they are, for the optimizer too, "
"and weights that are tied stay tied."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]

_NET = "import torch\nfrom torch import nn\ntorch.manual_seed(0)\n"
_FIT = (
    "def fit(model, opt, steps=2):\n  for _ in range(steps):\n    opt.zero_grad()\n"
    "    loss = model(torch.ones(4, 3)).pow(2).mean()\n"
    "    loss.backward()\n    opt.step()\n  return loss.item()\n"
)
_MODEL = _NET + _FIT + "model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1))\n"
_TIED = (
    _NET + "class Lm(nn.Module):\n  def __init__(self):\n    super().__init__()\n"
    "    self.emb, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)\n"
    "    self.head.weight = self.emb.weight\n  def forward(self, i): return self.head(self.emb(i))\nlm = Lm()\n"
)


def _tensor(what: str, made: str, change: str, then: str) -> Case:
    """Return a row whose tensor `t` must stay the object and the memory it was."""
    here = f"{_NET}{made}\nalias = t\nwas = id(t), t.data_ptr()"
    return Case(
        id=f"W5 {what}", here=here, there=change, after=f"(id(t), t.data_ptr()) == was and alias is t and ({then})"
    )


CASES = [
    _tensor("an element", "t = torch.zeros(4)", "t[1] = 7", "t[1] == 7"),
    _tensor("a large tensor", "t = torch.zeros(300_000)", "t[5] = 7", "t[5] == 7"),
    _tensor("in-place operations", "t = torch.zeros(4)", "t.add_(1).mul_(3)", "t.tolist() == [3] * 4"),
    _tensor("half precision", "t = torch.zeros(4, dtype=torch.bfloat16)", "t += 1", "t.tolist() == [1] * 4"),
    _tensor(
        "a view", "t = torch.zeros(6)\nv = t.view(2, 3)", "v[1, 2] = 7", "t[5] == 7 and v.data_ptr() == t.data_ptr()"
    ),
    _tensor("a slice", "t = torch.zeros(6)\nv = t[2:]", "v[0] = 7", "t[2] == 7"),
    _tensor(
        "a view made there",
        "t = torch.zeros(6)",
        "v = t[2:]\nv[0] = 7",
        "t[2] == 7 and v.untyped_storage().data_ptr() == t.untyped_storage().data_ptr()",
    ),
    _tensor("requires_grad", "t = torch.zeros(3)", "t.requires_grad_()", "t.requires_grad"),
    _tensor(
        "its gradient",
        "t = torch.ones(3, requires_grad=True)",
        "(t * 2).sum().backward()",
        "t.grad.tolist() == [2, 2, 2]",
    ),
    _tensor(
        "its gradient is let go of",
        "t = torch.ones(3, requires_grad=True)\n(t * 2).sum().backward()",
        "t.grad = None",
        "t.grad is None",
    ),
    _tensor(
        "in a list and a dict",
        "t = torch.zeros(2)\nheld = {'l': [t]}",
        "held['l'][0] += 1",
        "held['l'][0] is t and t.tolist() == [1, 1]",
    ),
    Case(
        id="W5 a model is trained",
        here=_MODEL + "opt = torch.optim.SGD(model.parameters(), 0.1)\nfirst = model[0]\nw = first.weight\n"
        "was = w.detach().clone()",
        there="loss = fit(model, opt)",
        after="model[0] is first and first.weight is w and opt.param_groups[0]['params'][0] is w "
        "and not torch.equal(w, was)",
    ),
    Case(
        id="W5 the optimizer goes on here",
        here=_MODEL + "opt = torch.optim.SGD(model.parameters(), 0.1)",
        there="fit(model, opt)",
        after="before = model[0].bias.detach().clone()\nfit(model, opt)\nassert not torch.equal(before, model[0].bias)",
    ),
    Case(
        id="W5 Adam's state",
        here=_MODEL + "opt = torch.optim.Adam(model.parameters(), 0.1)\nref = opt",
        there="fit(model, opt)\nfit(model, opt)",
        after="opt is ref and opt.state[model[0].weight]['step'] == 4 "
        "and set(opt.state) == set(model.parameters()) and fit(model, opt) >= 0 "
        "and opt.state[model[0].weight]['step'] == 6",
    ),
    Case(
        id="W5 the same as trained here",
        here=_MODEL + "import copy\nopt = torch.optim.Adam(model.parameters(), 0.1)\n"
        "twin, topt = copy.deepcopy((model, opt))\nfit(twin, topt, 4)",
        there="fit(model, opt, 4)",
        after="all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters()))",
    ),
    Case(
        id="W5 trained on both sides in turn",
        here="fit(twin, topt, 6)\nfit(model, opt, 3)",
        there="fit(model, opt, 3)",
        after="all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters()))",
    ),
    Case(
        id="W5 an optimizer made there",
        here=_MODEL,
        there="opt = torch.optim.Adam(model.parameters(), 0.1)\nfit(model, opt)",
        after="opt.param_groups[0]['params'][0] is model[0].weight and set(opt.state) == set(model.parameters())",
    ),
    Case(
        id="W5 a scheduler",
        here=_MODEL
        + "opt = torch.optim.SGD(model.parameters(), 1.0)\nsch = torch.optim.lr_scheduler.StepLR(opt, 1, 0.5)",
        there="fit(model, opt)\nsch.step()",
        after="sch.optimizer is opt and opt.param_groups[0]['lr'] == 0.5 and fit(model, opt) >= 0 "
        "and sch.step() is None and opt.param_groups[0]['lr'] == 0.25",
    ),
    Case(
        id="W5 a scheduler made there",
        here=_MODEL,
        there="opt = torch.optim.SGD(model.parameters(), 1.0)\n"
        "sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 9)\nfit(model, opt)\nsch.step()",
        after="fit(model, opt) >= 0 and sch.step() is None and sch.last_epoch == 2 and sch.optimizer is opt",
    ),
    Case(
        id="W5 tied weights",
        here=_TIED,
        there="with torch.no_grad(): lm.emb.weight[0, 0] = 5",
        after="lm.head.weight is lm.emb.weight and lm.head.weight[0, 0] == 5",
    ),
    Case(
        id="W5 tied weights, trained",
        here=_TIED + "w = lm.emb.weight\nopt = torch.optim.SGD(lm.parameters(), 0.1)",
        there="lm(torch.tensor([1])).sum().backward()\nopt.step()",
        after="lm.head.weight is lm.emb.weight is w and len(list(lm.parameters())) == 1 "
        "and opt.param_groups[0]['params'] == [w]",
    ),
    Case(
        id="W5 tied there",
        here=_TIED.replace("    self.head.weight = self.emb.weight\n", ""),
        there="lm.head.weight = lm.emb.weight",
        after="lm.head.weight is lm.emb.weight",
    ),
    Case(
        id="W5 buffers and modes",
        here=_NET + "bn = nn.BatchNorm1d(3)\nb = bn.running_mean",
        there="bn(torch.ones(4, 3))\nbn.eval()",
        after="bn.running_mean is b and b[0] > 0 and not bn.training and bn.num_batches_tracked == 1",
    ),
    Case(
        id="W5 frozen layers",
        here=_MODEL,
        there="for p in model[0].parameters(): p.requires_grad_(False)",
        after="[p.requires_grad for p in model.parameters()] == [False, False, True, True]",
    ),
    Case(
        id="W5 a layer replaced",
        here=_MODEL + "body = model[0]",
        there="model[2] = nn.Linear(5, 2)",
        after="model[0] is body and model[2].out_features == 2",
    ),
    Case(
        id="W5 a hook registered there, removed here",
        here=_MODEL + "seen = []",
        there="hook = model[0].register_forward_hook(lambda *_: seen.append(1))\nfirst = model(torch.ones(1, 3))",
        after="again = model(torch.ones(1, 3))\nhook.remove()\nlast = model(torch.ones(1, 3))\n"
        "assert seen == [1, 1] and not model[0]._forward_hooks",
    ),
    Case(
        id="W5 a hook registered here, removed there",
        here=_MODEL + "seen = []\nhook = model[0].register_forward_hook(lambda *_: seen.append(1))",
        there="hook.remove()",
        after="not model[0]._forward_hooks and hook.hooks_dict_ref() is model[0]._forward_hooks",
    ),
    Case(
        id="W5 a state dict",
        here=_MODEL + "sd = model.state_dict()",
        there="with torch.no_grad(): sd['0.weight'].zero_()",
        after="model[0].weight.abs().sum() == 0",
    ),
    Case(
        id="W5 load_state_dict",
        here=_MODEL + "sd = {k: torch.zeros_like(v) for k, v in model.state_dict().items()}\nw = model[0].weight",
        there="model.load_state_dict(sd)",
        after="model[0].weight is w and w.abs().sum() == 0",
    ),
    Case(id="W5 another precision", here=_MODEL, there="model.half()", after="model[0].weight.dtype is torch.float16"),
    Case(
        id="W5 a model inside an object",
        here=_MODEL + "class Trainer:\n  def __init__(self, m):\n"
        "    self.m, self.opt, self.losses = m, torch.optim.SGD(m.parameters(), 0.1), []\n"
        "  def run(self): self.losses.append(fit(self.m, self.opt))\ntr = Trainer(model)",
        there="tr.run()",
        after="tr.m is model and tr.opt.param_groups[0]['params'][0] is model[0].weight and len(tr.losses) == 1",
    ),
    Case(
        id="W5 memory shared with numpy",
        here=_NET + "import numpy as np\na = np.zeros(4)\nt = torch.from_numpy(a)",
        there="t += 1\na[0] = 9",
        after="a.tolist() == [9, 1, 1, 1] and t.tolist() == [9, 1, 1, 1]",
    ),
    Case(
        id="W6 torch's global generator",
        here=_NET + "all_here = torch.rand(4).tolist()\ntorch.manual_seed(0)\na = torch.rand(1).item()",
        there="b = torch.rand(1).item()",
        after="[a, b, *torch.rand(2).tolist()] == all_here",
    ),
    Case(
        id="W6 seeded there",
        there="import torch\ntorch.manual_seed(3)\na = torch.rand(1)",
        after="b = torch.rand(1)\ntorch.manual_seed(3)\nassert (a, b) == (torch.rand(1), torch.rand(1))",
    ),
    Case(
        id="W6 dropout goes on",
        here=_NET + "drop = nn.Dropout(0.5)\nx = torch.ones(64)\nall_here = drop(x), drop(x)\ntorch.manual_seed(0)",
        there="one = drop(x)",
        after="torch.equal(one, all_here[0]) and torch.equal(drop(x), all_here[1])",
    ),
    Case(
        id="W6 a torch.Generator",
        here="import torch\ngen = torch.Generator().manual_seed(5)\nheld = [gen]\n"
        "all_here = torch.rand(2, generator=torch.Generator().manual_seed(5)).tolist()",
        there="a = torch.rand(1, generator=gen).item()",
        after="[a, torch.rand(1, generator=held[0]).item()] == all_here and held[0] is gen",
    ),
    Case(
        id="W6 a shuffling loader",
        here=_NET + "from torch.utils.data import DataLoader, TensorDataset\nds = TensorDataset(torch.arange(8))\n"
        "def order(): return [int(b) for (x,) in DataLoader(ds, 4, shuffle=True) for b in x]\n"
        "all_here = order(), order()\ntorch.manual_seed(0)",
        there="o = order()",
        after="(o, order()) == all_here",
    ),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
