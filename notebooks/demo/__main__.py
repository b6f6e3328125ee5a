"""`make demo`: run the first notebook headless in a runtime of its own, then tell what happened.

The account has two sources: the executed notebook (outputs and the footers' metadata) and the runtime's own records.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from account import tell

NOTEBOOK: Final = "01-first-cell.ipynb"
BESIDE_IT: Final = ("labels.csv",)
CARDS: Final = "A100:2"
CELL_TIMEOUT_S: Final = 600


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--into", type=Path, required=True, help="folder for the executed notebook and the runtime's data"
    )
    parser.add_argument("--cards", default=CARDS, help="cards to simulate")
    chosen = parser.parse_args()
    into = chosen.into.absolute()
    with own_runtime(into, chosen.cards):
        print(f"Running notebooks/{NOTEBOOK} headless, with simulated cards ({chosen.cards}) ...", flush=True)
        notebook, failure = execute(into)
        if failure:
            print(
                f"\nA cell failed:\n{failure}\nThe runtime's log: {shorter(into / 'data' / 'runtime.log')}",
                file=sys.stderr,
            )
            return 1
        tell(notebook)
    print(f"\nThe executed notebook: {shorter(into / NOTEBOOK)}")
    return 0


def execute(into: Path) -> tuple[Any, str]:
    """Run a copy of the notebook in `into`; return it, and the traceback of the cell that failed if one did."""
    source = Path(__file__).parents[1]
    for name in BESIDE_IT:
        shutil.copy(source / name, into)
    notebook = nbformat.read(source / NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(into)}},
        coalesce_streams=True,
    )
    manager = client.create_kernel_manager()  # over unix sockets: no port is opened that anyone could listen on
    manager.transport, manager.ip = "ipc", str(Path(os.environ["CELLBURST_RUNTIME_DIR"], "kernel"))
    failure = ""
    try:
        client.execute()
    except CellExecutionError as error:
        failure = str(error)
    nbformat.write(notebook, into / NOTEBOOK)
    return notebook, failure


@contextmanager
def own_runtime(into: Path, cards: str) -> Iterator[None]:
    """Point everything at a fresh data folder of the demo's own; end its runtime afterwards."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="cellburst-demo-") as sockets:  # short enough for a socket
        changed = {
            "CELLBURST_CONFIG_DIR": str(into / "config"),
            "CELLBURST_DATA_DIR": str(into / "data"),
            "CELLBURST_RUNTIME_DIR": sockets,
            "CELLBURST_SIMULATE_GPUS": cards,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        with environment(changed, without=("CELLBURST_URL", "CELLBURST_TOKEN")):
            try:
                yield
            finally:
                stop = [sys.executable, "-P", "-m", "kernel_bridge.cli.main", "runtime", "stop"]
                subprocess.run(stop, check=False, stdout=subprocess.DEVNULL)


@contextmanager
def environment(changed: Mapping[str, str], without: tuple[str, ...]) -> Iterator[None]:
    """Change the environment for a while."""
    before = dict(os.environ)
    os.environ.update(changed)
    for name in without:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def shorter(path: Path) -> Path:
    """Return the path as seen from here, where it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main())
