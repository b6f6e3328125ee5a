"""Real cards, on a machine that has one: cells compute on them, nobody shares them, and their memory comes free."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote_runtime.providers import nvml
from tests.journeys.broken import Notebook, in_folder, wait_for

_SEEN = nvml.survey().cards

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not _SEEN or importlib.util.find_spec("torch") is None, reason="needs a card and torch"),
]

TRAIN = """
import torch
torch.manual_seed(0)
x = torch.randn(4096, 16, device="cuda")
y = x @ torch.arange(16.0, device="cuda") + 1
model = torch.nn.Linear(16, 1).cuda()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
for _ in range(500):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x).squeeze(), y)
    loss.backward()
    optimizer.step()
error = float(loss)
seen = torch.cuda.device_count()
"""


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose cells run on one real card."""
    with in_folder(tmp_path, monkeypatch, card=_SEEN[0].name) as made:
        yield made


def used_bytes() -> int:
    """Return what is in use on all cards."""
    return sum(use.memory_used_bytes for use in nvml.usage())


def test_a_cell_trains_on_the_card_it_asked_for(notebook: Notebook) -> None:
    """It sees that card and no other, the model comes home, and its next cell goes on where it was."""
    assert notebook.run(TRAIN).success
    assert notebook.names["error"] < 0.1
    assert notebook.names["seen"] == 1
    assert notebook.names["model"].weight.device.type == "cpu"
    assert notebook.run("where = str(model.weight.device)\nagain = float(model(x).mean() - y.mean())").success
    assert notebook.names["where"].startswith("cuda")
    with notebook.plane() as plane:
        [session] = plane.sessions()
    assert (session.card, session.simulated) == (_SEEN[0].name, False)


def test_a_card_that_is_full_is_an_error_and_the_session_goes_on(notebook: Notebook) -> None:
    """CUDA's own error with the remote lines; what was there before still is."""
    assert notebook.run("import torch\nkept = torch.ones(3, device='cuda')").success
    failed = notebook.run("torch.empty(1 << 50, dtype=torch.uint8, device='cuda')")
    assert type(failed.error_in_exec).__name__ == "OutOfMemoryError"
    assert notebook.run("total = float(kept.sum())").success
    assert notebook.names["total"] == 3.0


def test_a_session_that_hibernates_frees_its_card(notebook: Notebook) -> None:
    """10 GB on the card: its memory is free afterwards, and the next cell finds the values on it again."""
    before = used_bytes()
    assert notebook.run("import torch\nbig = torch.full((10, 1 << 28), 7.0, device='cuda')").success
    assert used_bytes() - before >= 10 << 30
    with notebook.plane() as plane:
        [session] = plane.sessions()
        assert plane.stop_session(session.id).state == "hibernated"
        wait_for(lambda: used_bytes() - before < 1 << 30, "the card's memory is not free")
    assert notebook.run("back = float(big[9, -1]); where = str(big.device)").success
    assert (notebook.names["back"], notebook.names["where"]) == (7.0, "cuda:0")


def test_two_sessions_never_have_one_card(notebook: Notebook) -> None:
    """Another session gets another card; where there is none left, an idle session hibernates and frees its own."""
    which = "import torch\n{} = str(torch.cuda.get_device_properties(0).uuid)"
    for number in range(len(_SEEN) + 1):
        assert notebook.run(which.format(f"card_{number}"), f"--session number-{number}").success
    with notebook.plane() as plane:
        states = [session.state for session in plane.sessions() if session.spec.name.startswith("number-")]
    assert sorted(states) == ["hibernated"] + ["open"] * len(_SEEN)
    held = [notebook.names[f"card_{number}"] for number in range(len(_SEEN))]
    assert sorted(held) == sorted(card.uuid.removeprefix("GPU-") for card in _SEEN)
