"""A training that slept goes on where it was."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import failures_here
from tests.state.waking import Nap, put_to_sleep, wake

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]

TRAINING = Nap(
    id="a model, its optimizer and the random numbers of torch",
    there="""import torch
torch.manual_seed(5)
def step():
    optimizer.zero_grad()
    loss = (model(torch.ones(4, 8)) - torch.rand(4, 2)).square().mean()
    loss.backward()
    optimizer.step()
def train(steps):
    global model, optimizer
    model = torch.nn.Linear(8, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(steps):
        step()
train(3)""",
    later="""step()
slept = [p.tolist() for p in model.parameters()]
held = {id(p) for p in model.parameters()} == {id(p) for group in optimizer.param_groups for p in group['params']}
torch.manual_seed(5)
train(4)
never_slept = [p.tolist() for p in model.parameters()]""",
    after="held and slept == never_slept",
)


def test_the_row_is_true_of_a_session_that_never_sleeps() -> None:
    """It asks nothing that plain IPython does not do."""
    assert failures_here([TRAINING.awake()]) == {}


def test_training_goes_on(shell: InteractiveShell) -> None:
    """The step after sleep is the one that would have come without: weights, moments and noise are the same."""
    assert put_to_sleep(shell, [TRAINING]) == {}
    wake(shell, TRAINING)
