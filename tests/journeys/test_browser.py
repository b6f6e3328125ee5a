"""The demo notebook in JupyterLab, run by a browser. `make picture` keeps what it sees for the README."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
NOTEBOOK = "01-first-cell.ipynb"
CHROMIUM = shutil.which("chromium")
TOKEN = "journey"  # of a server that lives for one test on the loopback
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.context?.isReady && panel.sessionContext?.session?.kernel?.status === 'idle';
}"""
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === 'code')
  .map(cell => [cell.model.id, cell.model.executionCount, cell.model.outputs.toJSON()])"""
SHOW = """async name => {
  const content = window.jupyterapp.shell.currentWidget.content;
  const index = content.widgets.findIndex(cell => cell.model.id === name);
  content.activeCellIndex = index;
  content.mode = 'command';
  await content.scrollToItem(index, 'start');
}"""

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def lab() -> Iterator[str]:
    """JupyterLab over a copy of the examples, with a runtime of its own; yields its address."""
    with tempfile.TemporaryDirectory(prefix="cb-", ignore_cleanup_errors=True) as base:  # short: sockets lie below
        yield from serve(Path(base))


def serve(base: Path) -> Iterator[str]:
    """Start JupyterLab with its folders below `base`, yield its address, and end it and its runtime."""
    shutil.copytree(ROOT / "notebooks", base / "notebooks", ignore=shutil.ignore_patterns("demo", ".*"))
    port = free_port()
    command = [
        sys.executable, "-P", "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={base / 'notebooks'}",
    ]  # fmt: skip
    env = os.environ | own_folders(base)
    settle(Path(env["JUPYTERLAB_SETTINGS_DIR"]))
    with (base / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=base)
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", base / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK}?token={TOKEN}"
    finally:
        server.terminate()
        server.wait(20)
        stop = [sys.executable, "-P", "-m", "kernel_bridge.cli.main", "runtime", "stop"]
        subprocess.run(stop, env=env, check=False, capture_output=True)


@pytest.fixture
def page(lab: str) -> Iterator[Page]:
    """The notebook, open in Debian's Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: as root, `make test` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1100, "height": 1000}, device_scale_factor=2)
        page.goto(lab)
        page.wait_for_function(READY, timeout=90_000)
        yield page
        browser.close()


def test_the_notebook_runs_in_jupyterlab(page: Page, tmp_path: Path) -> None:
    """Run All ends without an error, every cell has its output, and the picture shows a footer under the plot."""
    page.evaluate(RUN_ALL)
    cells: list[tuple[str, int, list[dict[str, Any]]]] = page.evaluate(OUTPUTS)
    errors = [output for _, _, outputs in cells for output in outputs if output["output_type"] == "error"]
    assert [(error["ename"], error["evalue"]) for error in errors] == []
    assert [name for name, count, _ in cells if count is None] == []
    assert "simulated" in json.dumps({name: outputs for name, _, outputs in cells}["train"])
    picture = Path(os.environ.get("PICTURE") or tmp_path / "first-cell.png")
    take(page, "train", picture)
    assert picture.stat().st_size > 10_000


def take(page: Page, cell: str, picture: Path) -> None:
    """Save a picture of one cell, from its first line to its footer."""
    page.evaluate(SHOW, cell)
    box = page.locator(".jp-Notebook-cell.jp-mod-active")
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # the figure is drawn and the scrolling has ended
    box.screenshot(path=picture)


def settle(settings: Path) -> None:
    """Answer JupyterLab's question about news before it asks: it would stand in the picture."""
    file = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    file.parent.mkdir(parents=True)
    file.write_text('{"fetchNews": "false", "checkForUpdates": false}')


def own_folders(base: Path) -> dict[str, str]:
    """Return the variables that keep Jupyter and Cellburst away from the user's own files."""
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
             "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR",
             "CELLBURST_CONFIG_DIR", "CELLBURST_DATA_DIR", "CELLBURST_RUNTIME_DIR")  # fmt: skip
    folders = {name: str(base / name.lower()) for name in names}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # for the notebook's `!cellburst`
    return folders | {"CELLBURST_SIMULATE_GPUS": "A100:2", "PATH": path}


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(url: str, log: Path, patience_s: float = 60.0) -> None:
    """Wait until a server answers."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not answer:\n{log.read_text()[-3000:]}")
