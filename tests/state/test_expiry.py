"""State that slept for longer than it is kept is gone: the status, the next cell and the handles say so."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.waking import error_of, remotely

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

_OVER = "state is kept for 3 s, which are over"


@pytest.fixture(scope="module", autouse=True)
def _kept_for_3_s() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBURST_STATE_KEPT_S", "3")
        yield


def test_expired_state_is_told(
    _kept_for_3_s: None, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lived there only is named, with what to do; what the notebook has is not, and goes along anew."""
    remotely(
        shell,
        "import numpy as np\nweights, more = np.ones(1000), np.ones(9)\nkept = [1]\ndef total(): return weights.sum()",
        "--leave weights,more",
    )
    shell.run_line_magic("gpu_stop", "")
    capsys.readouterr()
    shell.run_line_magic("gpu_status", "")
    assert re.search(r"kept: \S+ [KM]B until \w+ \d+ \d\d:\d\d: kept, more, np, total, weights", said(capsys))
    wait_until_expired()
    shell.run_line_magic("gpu_status", "")
    status = said(capsys)
    assert f"gone: more, weights: {_OVER}; run the cells that made them again" in status
    assert "remote values" not in status
    assert repr(shell.user_ns["weights"]) == f"<weights: numpy.ndarray, shape (1000,), float64, lost: {_OVER}>"
    shell.run_cell("error = None\ntry:\n    weights + 1\nexcept Exception as e:\n    error = str(e)")
    assert shell.user_ns["error"] == f"weights is lost ({_OVER}); run the cell that made it again"
    and_the_rest_works(shell, capsys)


def and_the_rest_works(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """Run cells after that: the first says what is gone, those that touch it too, and it can be made again."""
    capsys.readouterr()
    remotely(shell, "kept.append(2)")
    told = said(capsys)
    assert f"more, weights: {_OVER}; run the cells that made them again" in told
    assert "Traceback" not in told and "kept:" not in told
    assert shell.user_ns["kept"] == [1, 2]
    for cell in ("print(weights.sum())", "print(total())"):
        error = error_of(shell.run_cell(f"%%gpu A100\n{cell}"))
        assert "this session no longer holds weights; run the cell that made it again" in str(error)
    error = error_of(shell.run_cell("weights.fetch()"))
    assert "no longer holds weights" in str(error)

    remotely(shell, "weights = np.zeros(3)\nfound = total()", "--leave weights")
    assert shell.user_ns["found"] == 0.0
    assert "lost" not in repr(shell.user_ns["weights"])
    capsys.readouterr()
    shell.run_line_magic("gpu_status", "")
    status = said(capsys)
    assert "remote values: weights (numpy.ndarray, 24 B" in status
    assert f"gone: more: {_OVER}; run the cell that made it again" in status


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed since the last time."""
    captured = capsys.readouterr()
    return captured.out + captured.err


def wait_until_expired() -> None:
    """Wait until the session's saved state has gone from the disk."""
    deadline_s = time.monotonic() + 60
    while list(Path(os.environ["CELLBURST_DATA_DIR"]).glob("sessions/*/state/index.json")):
        assert time.monotonic() < deadline_s, "the state is still there"
        time.sleep(0.1)
    time.sleep(0.2)
