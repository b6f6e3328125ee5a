"""How data travels: what is known is not sent, what changed is sent alone, and a person sees how far it is."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext.shipment import Shipment
from kernel_bridge.client.blobs import HttpBlobs
from kernel_bridge.codecs.chunks import CHUNK_BYTES
from kernel_bridge.config import ClientConfig
from tests.journeys.conftest import elsewhere

__all__ = ["elsewhere"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

_ARRAY = "import numpy as np\nbig = np.random.default_rng({seed}).random(3_000_000)"  # 24 MB


@pytest.fixture
def shell_elsewhere(elsewhere: None, config: ClientConfig) -> Iterator[InteractiveShell]:
    """A notebook that shares no memory with the runtime, on a card of its own."""
    del elsewhere, config
    made = InteractiveShell()
    made.run_line_magic("load_ext", "cellburst")
    made.run_cell("%gpu_config simulate=A100:8")
    yield made
    made.run_line_magic("unload_ext", "cellburst")
    atexit.unregister(made.atexit_operations)
    made.atexit_operations()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The bytes that each cell says it shipped."""
    said: list[int] = []
    made = Shipment.__init__

    def note(self: Shipment, **fields: Any) -> None:
        said.append(fields["size_bytes"])
        made(self, **fields)

    monkeypatch.setattr(Shipment, "__init__", note)
    yield said


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The bytes of each blob that really went to the service."""
    went: list[int] = []
    request = HttpBlobs._request

    def note(self: HttpBlobs, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        if method == "PUT":
            went.append(int(headers["Content-Length"]))
        return request(self, method, path, body, headers)

    monkeypatch.setattr(HttpBlobs, "_request", note)
    yield went


def test_a_broadcast_array_is_not_sent_out_at_length(shell: InteractiveShell, sent: list[int]) -> None:
    """D7: 80 MB of one row are one row."""
    shell.run_cell("import numpy as np\nwide = np.broadcast_to(np.arange(10_000.), (1000, 10_000))")
    assert shell.run_cell("%%gpu A100\nlast = float(wide[999, 9999])").success
    assert shell.user_ns["last"] == 9999
    assert sent[-1] < 100_000


def test_dates_travel_beside_the_pickle(shell: InteractiveShell, sent: list[int]) -> None:
    """D8: numpy would copy them into it; unchanged, they are not sent again."""
    shell.run_cell("import pandas as pd\ndays = pd.DataFrame({'t': pd.date_range('2026', periods=300_000, freq='s')})")
    assert shell.run_cell("%%gpu A100\nfirst = days.t[0]").success
    assert sent[-1] < 2_500_000
    assert shell.run_cell("%%gpu A100\nfirst = days.t[0]").success
    assert sent[-1] < 10_000


def test_one_changed_element_is_one_chunk(
    shell_elsewhere: InteractiveShell, uploads: list[int], sent: list[int]
) -> None:
    """D12: where the runtime shares no memory with the notebook, only the chunk that holds it is sent."""
    shell = shell_elsewhere
    shell.run_cell(_ARRAY.format(seed=1))
    assert shell.run_cell("%%gpu A100\ntotal = float(big.sum())").success
    assert uploads == [24_000_000]
    shell.run_cell("big[1_500_000] = 5.0")
    assert shell.run_cell("%%gpu A100\nthere = float(big[1_500_000]), float(big.sum())").success
    assert uploads[1:] == [CHUNK_BYTES]
    assert sent[-1] < CHUNK_BYTES + 10_000
    assert shell.user_ns["there"] == (5.0, float(shell.user_ns["big"].sum()))
    shell.run_cell("big[0] = 6.0; big[-1] = 7.0")
    assert shell.run_cell("%%gpu A100\nthere = float(big[0]), float(big[1_500_000]), float(big[-1])").success
    assert shell.user_ns["there"] == (6.0, 5.0, 7.0)
    assert len(uploads) == 3
    assert uploads[2] <= 3 * CHUNK_BYTES


def test_a_changed_array_that_came_home_goes_up_as_its_chunk(
    shell_elsewhere: InteractiveShell, uploads: list[int]
) -> None:
    """D12: what was fetched is known to be there."""
    shell = shell_elsewhere
    assert shell.run_cell("%%gpu A100\nimport numpy as np\nmade = np.arange(3_000_000.)").success
    shell.run_cell("made[7] = -1")
    assert shell.run_cell("%%gpu A100\nthere = float(made[7]), float(made[8])").success
    assert shell.user_ns["there"] == (-1.0, 8.0)
    assert uploads == [CHUNK_BYTES]


def test_a_restarted_kernel_sends_nothing_twice(shell_elsewhere: InteractiveShell, uploads: list[int]) -> None:
    """D11: the same content, made again after a restart, is in the service already."""
    shell = shell_elsewhere
    shell.run_cell(_ARRAY.format(seed=2))
    assert shell.run_cell("%%gpu A100\ntotal = float(big.sum())").success
    assert uploads == [24_000_000]
    shell.run_line_magic("unload_ext", "cellburst")
    shell.run_line_magic("load_ext", "cellburst")
    shell.run_cell(_ARRAY.format(seed=2))
    assert shell.run_cell("%%gpu A100\ntotal2 = float(big.sum())").success
    assert shell.user_ns["total2"] == shell.user_ns["total"]
    assert uploads == [24_000_000]


def test_a_person_sees_how_much_of_a_value_has_gone(
    shell_elsewhere: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: the status line says bytes of bytes, on the way there and on the way home."""
    shell = shell_elsewhere
    said: list[str] = []
    monkeypatch.setattr("jupyter_ext.status.StatusLine.say", lambda _self, text: said.append(text))
    shell.run_cell("import numpy as np\nlarge = np.zeros(6_000_000)")  # 48 MB
    assert shell.run_cell("%%gpu A100 --out back\nback = large + 1").success
    assert any(text.startswith("sending ") and text.endswith(" of 48.0 MB") for text in said)
    assert any(text.startswith("fetching ") and text.endswith(" of 48.0 MB") for text in said)
    assert shell.user_ns["back"][5] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is found in /proc")
def test_shared_memory_holds_nothing_twice(shell: InteractiveShell) -> None:
    """What came through it is one's own: its files are gone, and a long session does not fill the memory with them."""
    shell.run_cell(_ARRAY.format(seed=9))
    assert shell.run_cell("%%gpu A100\nimport numpy as np\nbigger = big + 1").success
    mapped = (line for line in Path("/proc/self/maps").read_text().splitlines() if "/arena/" in line)
    folder = Path(next(mapped).split(maxsplit=5)[5].removesuffix(" (deleted)")).parent
    before = {file.name for file in folder.iterdir()}
    for seed in range(3):
        shell.run_cell(_ARRAY.format(seed=10 + seed))
        assert shell.run_cell("%%gpu A100\nbigger = big + 1").success
        assert shell.user_ns["bigger"][0] == shell.user_ns["big"][0] + 1
    assert shell.run_cell("%%gpu A100 --leave stays\nstays = big + 2").success
    assert shell.user_ns["stays"].fetch()[0] == shell.user_ns["big"][0] + 2
    assert shell.run_cell("%%gpu A100\nboth = np.array_equal(bigger + 1, stays)").success
    assert shell.user_ns["both"]
    assert {file.name for file in folder.iterdir()} <= before
