"""What every test stands on: no settings from outside, the installed package, and no silent skips where CI runs."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Generator
from typing import Any

import pytest

IN_CI = os.environ.get("CI", "").lower() == "true"


def pytest_configure() -> None:
    """Take the caller's settings away, and keep the checkout off the path of interpreters that tests start."""
    for name in [name for name in os.environ if name.startswith("CELLBURST_")]:
        del os.environ[name]
    if _installed():
        os.environ["PYTHONSAFEPATH"] = "1"


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


def _installed() -> bool:
    try:
        importlib.metadata.distribution("cellburst")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
