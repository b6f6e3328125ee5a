"""One cell watched from everywhere: its lines in every process, its events in order, the numbers it changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from IPython.core.interactiveshell import InteractiveShell
from prometheus_client.parser import text_string_to_metric_families

from kernel_bridge.client.embedded import ensure_runtime, running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.watching import Seen, watch
from kernel_bridge.config import Address, ClientConfig
from kernel_bridge.errors import Unauthorized
from kernel_bridge.protocol.events import CellChanged, ContainerChanged, Progressed, SessionChanged, Snapshot

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(sys.platform != "linux", reason="starts a runtime here")]

Shell = InteractiveShell
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
SECRET = "correct-horse-battery"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell with the extension, on an embedded runtime of its own."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"CELLBURST_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("CELLBURST_SIMULATE_GPUS", "A100:2")
    monkeypatch.setenv("CELLBURST_HEARTBEAT_S", "0.5")
    made = Shell()
    made.run_line_magic("load_ext", "cellburst")
    yield made
    made.run_line_magic("unload_ext", "cellburst")
    if running_runtime(ClientConfig.load()) is not None:
        with ControlPlane(address()) as plane:
            plane.stop_runtime()
        wait_until_gone(ClientConfig.load())


def address() -> Address:
    return ensure_runtime(ClientConfig.load())


def run(shell: Shell, code: str) -> None:
    assert shell.run_cell(f"%%gpu A100 --quiet\n{code}").success


def until(events: Iterator[Seen], done: Callable[[Any], bool]) -> list[Seen]:
    """Read events up to the first that will do."""
    seen: list[Seen] = []
    for item in events:
        seen.append(item)
        if done(item.event):
            return seen
    raise AssertionError("the events ended")


def ended(event: Any) -> bool:
    return isinstance(event, CellChanged) and event.status != "running"


def metrics() -> Samples:
    """Scrape."""
    where = address()
    transport = httpx2.HTTPTransport(uds=where.socket)
    with httpx2.Client(
        transport=transport, base_url=where.url, headers={"Authorization": f"Bearer {where.token}"}
    ) as http:
        text = http.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_cell_s_id_is_in_the_lines_of_every_process(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Notebook, control plane, agent and child tell of it in the order of time; neither code nor output is told."""
    run(shell, f"password = '{SECRET}'\nprint(password)")
    capsys.readouterr()
    shell.run_line_magic("gpu_logs", "--cell last")
    head, *lines = capsys.readouterr().out.strip().splitlines()
    assert head.startswith("ses_") and ", cell " in head
    story = [(line[21:35].strip(), line[35:].split(":")[0].split(" bytes")[0]) for line in lines]
    for step in (
        ("notebook", "cell sent"),
        ("control plane", "cell began"),
        ("agent", "cell began"),
        ("child", "cell ended"),
        ("agent", "cell ended"),
        ("notebook", "cell answered"),
    ):
        assert [who for who, what in story if (who, what) == step] == [step[0]], story
    assert [line[:12] for line in lines] == sorted(line[:12] for line in lines)
    shell.run_line_magic("gpu_logs", "--lines 5000")
    whole = capsys.readouterr().out
    assert {line[21:35].strip() for line in whole.splitlines()[1:] if line[:2].isdigit()} == {
        "notebook", "control plane", "zygote", "supervisor", "agent", "child",
    }  # fmt: skip
    assert SECRET not in whole and "cb_" not in whole.replace("cb_***", "")


def test_the_command_line_shows_the_same(shell: Shell) -> None:
    """As text, or as JSON for programs."""
    run(shell, "x = 1")
    with ControlPlane(address()) as plane:
        [session] = plane.sessions()
    command = [sys.executable, "-m", "kernel_bridge.cli.main", "logs", session.id]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "child         cell ended: ok" in text and "notebook      cell sent" in text
    lines = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert {line["session_id"] for line in lines} == {session.id}


def test_events_tell_the_story_and_resume(shell: Shell) -> None:
    """From a snapshot on; the last id brings what came after, once; an id of another life brings a snapshot."""
    events = watch(address())
    first = next(events)
    assert isinstance(first.event, Snapshot) and first.event.sessions == ()
    run(shell, "x = 1")
    told = until(events, ended)
    states = [item.event.state for item in told if isinstance(item.event, SessionChanged | ContainerChanged)]
    assert [str(state) for state in states] == [
        "open", "pending", "building", "starting", "idle", "idle", "busy", "idle",
    ]  # fmt: skip
    phases = [item.event.phase for item in told if isinstance(item.event, Progressed) and not item.event.line]
    assert phases == ["building", "starting"]
    cells = [item.event for item in told if isinstance(item.event, CellChanged)]
    assert [cell.status for cell in cells] == ["running", "ok"]
    last = [item.event for item in told if isinstance(item.event, ContainerChanged)][-1]
    assert last.idle_deadline_s is not None and last.idle_deadline_s > last.at_s
    events.close()  # type: ignore[attr-defined]
    run(shell, "y = 2")
    missed = until(watch(address(), told[-1].id), ended)
    assert [event.status for item in missed if isinstance(event := item.event, CellChanged)] == ["running", "ok"]
    assert not any(isinstance(item.event, Snapshot) for item in missed)
    anew = next(watch(address(), "00000000-7"))
    assert isinstance(anew.event, Snapshot) and len(anew.event.sessions) == len(anew.event.containers) == 1


def test_a_stream_ends_with_its_token_and_with_the_runtime(shell: Shell) -> None:
    """At once, and whoever comes again with that token is refused; several listen meanwhile, each to everything."""
    run(shell, "x = 1")
    with ControlPlane(address()) as plane:
        token, text = plane.create_token("widget", scope="read")
        where = address()
        reading = watch(Address(where.url, text, where.socket))
        other = watch(where, again=False)
        assert next(reading).event.kind == next(other).event.kind == "snapshot"
        plane.revoke_token(token.id)
        with pytest.raises(Unauthorized):
            for _ in reading:
                pass
        ends: list[list[Seen]] = []
        reader = threading.Thread(target=lambda: ends.append(list(other)))
        reader.start()
        plane.stop_runtime()
        reader.join(30)
    assert [str(item.event.state) for item in ends[0] if isinstance(item.event, ContainerChanged)][-1] == "stopped"


def test_metrics_change_by_what_happened(shell: Shell) -> None:
    """Two cells that end well and one that does not; one container, one card, two connections."""
    run(shell, "x = 1")
    before = metrics()
    run(shell, "y = 2")
    assert not shell.run_cell("%%gpu A100 --quiet\n1 / 0").success
    after = metrics()

    def change(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0)

    assert change("cellburst_cells_total", status="ok") == 1
    assert change("cellburst_cells_total", status="error") == 1
    assert change("cellburst_cell_duration_seconds_count") == 2
    assert change("cellburst_start_duration_seconds_count") == 0
    assert change("cellburst_relay_messages_total", to="container") >= 2
    assert change("cellburst_relay_bytes_total", to="notebook") > 0
    assert (
        after["cellburst_start_duration_seconds_count", ()] == after["cellburst_queue_duration_seconds_count", ()] == 1
    )
    assert after["cellburst_containers", (("provider", "process"), ("state", "idle"))] == 1
    assert after["cellburst_cards_free", (("card", "A100"), ("simulated", "true"))] == 1
    assert after["cellburst_websocket_connections", (("end", "notebook"),)] == 1
    assert after["cellburst_websocket_connections", (("end", "container"),)] == 1


def test_the_guide_s_example_runs(shell: Shell) -> None:
    """It reads the first event, which is a snapshot."""
    guide = Path(__file__).parents[2] / "docs" / "guides" / "watching.md"
    [code] = re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert [kind for _, kind in names["seen"]] == ["snapshot"]
