"""What every test stands on: no settings from outside, the installed package, and no silent skips where CI runs."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from remote_runtime.store import Store, sqlite_url
from tests.engines import Engine, engine
from tests.postgres import Postgres, cluster
from tests.stores import StillClock

IN_CI = os.environ.get("CI", "").lower() == "true"


def pytest_configure() -> None:
    """Take the caller's settings away, and keep the checkout off the path of interpreters that tests start."""
    for name in [name for name in os.environ if name.startswith("CELLBURST_")]:
        del os.environ[name]
    if _installed():
        os.environ["PYTHONSAFEPATH"] = "1"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """In CI a skip is a failure: what is missing there has to be installed. Cards are the exception."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("gpu") is None:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """The same for a file that skips itself as a whole."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def no_mounts_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A runtime of root that a test killed leaves its arena mounted, and folders that are mounted on stay for ever."""
    yield
    mounts = Path("/proc/mounts")
    for line in mounts.read_text().splitlines() if mounts.exists() else ():
        target = line.split()[1]
        if Path(target).is_relative_to(tmp_path_factory.getbasetemp()):
            subprocess.run(["umount", "--lazy", target], check=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, started when the first test wants it."""
    with cluster() as server:
        yield server


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """A real dockerd, started when the first test wants it."""
    with engine("docker") as made:
        yield made


@pytest.fixture(scope="session")
def podman_engine() -> Iterator[Engine]:
    """A real podman that serves Docker's API, started when the first test wants it."""
    with engine("podman") as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind there is."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "store.sqlite3")
    server: Postgres = request.getfixturevalue("postgres")
    return server.url()


@pytest.fixture
def clock() -> StillClock:
    """Time for the store, which passes when the test says so."""
    return StillClock()


@pytest.fixture
def store(store_url: str, clock: StillClock, tmp_path: Path) -> Iterator[Store]:
    """A store on each database."""
    opened = Store.open(store_url, clock, tmp_path / "data")
    yield opened
    opened.close()


def _installed() -> bool:
    try:
        importlib.metadata.distribution("cellburst")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
