"""A runtime that keeps its rows in PostgreSQL: real cells run, the server may restart, and the bill is there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from sqlalchemy import create_engine, text

from tests.postgres import Postgres, cluster

pytestmark = [pytest.mark.timeout(240), pytest.mark.skipif(sys.platform != "linux", reason="Debian's PostgreSQL")]


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One that may be restarted."""
    with cluster() as made:
        yield made


def environment(folder: Path, url: str) -> dict[str, str]:
    """Return what a runtime of its own is told."""
    folders = {f"CELLBURST_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    return folders | {"CELLBURST_DATABASE_URL": url, "CELLBURST_SIMULATE_GPUS": "A100:2"}


def serve(folder: Path, url: str) -> subprocess.Popen[str]:
    """Start a runtime and return when it listens, or has given up."""
    folder.mkdir()
    env = os.environ | environment(folder, url)
    command = [sys.executable, "-m", "kernel_bridge.cli.main", "runtime", "serve"]
    with (folder / "said").open("w") as said:
        runtime = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=said, text=True)
    assert runtime.stdout is not None
    runtime.stdout.readline()
    return runtime


def test_cells_run_and_the_ledger_is_there(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One runtime acts on the database, a second is refused; a restart under a cell harms neither cell nor bill."""
    url = server.url()
    for name, value in environment(tmp_path / "one", url).items():
        monkeypatch.setenv(name, value)
    with serve(tmp_path / "one", url) as runtime:
        try:
            _cells(server)
            with serve(tmp_path / "two", url) as other:
                assert other.wait(timeout=60) == 1
            assert "uses this database" in (tmp_path / "two" / "said").read_text()
            subprocess.run([sys.executable, "-m", "kernel_bridge.cli.main", "runtime", "stop"], check=True)
            assert runtime.wait(timeout=60) == 0
        finally:
            runtime.terminate()  # it has memory mounted
    _check_books(url)


def _cells(server: Postgres) -> None:
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "cellburst")
    try:
        assert shell.run_cell("numbers = [1, 2]").success
        assert shell.run_cell("%%gpu A100 --quiet\nnumbers.append(3)\ntotal = sum(numbers)").success
        restart = threading.Timer(0.3, lambda: (server.stop(), server.start()))
        restart.start()
        assert shell.run_cell("%%gpu A100 --quiet\nimport time\ntime.sleep(2)\ntotal += 1").success
        restart.join()
        assert shell.run_cell("%%gpu A100 --quiet\ntotal += 1").success
        assert (shell.user_ns["numbers"], shell.user_ns["total"]) == ([1, 2, 3], 8)
    finally:
        shell.run_line_magic("unload_ext", "cellburst")


def _check_books(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        cells = connection.execute(text("SELECT status, count(*) FROM cells GROUP BY status")).all()
        lines = connection.execute(text("SELECT resource, use, duration_ms, cost_microusd FROM ledger")).all()
        lived = connection.execute(text("SELECT ended_at_s - started_at_s FROM containers")).scalars().all()
    engine.dispose()
    assert [tuple(row) for row in cells] == [("ok", 3)]
    assert {(resource, use) for resource, use, *_ in lines} == {
        (resource, use) for resource in ("gpu A100", "cpu", "memory") for use in ("active", "idle")
    }
    card = sum(ms for resource, _, ms, _ in lines if resource == "gpu A100")
    assert len(lived) == 1 and abs(card - 1000 * lived[0]) <= 1
    assert sum(cost for *_, cost in lines) > 0
