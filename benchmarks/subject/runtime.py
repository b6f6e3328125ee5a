"""A runtime of this benchmark's own: started when first needed, stopped and cleared away afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kernel_bridge.client.buffers import boot_id
from kernel_bridge.client.embedded import ensure_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig
from kernel_bridge.protocol.images import DEBIAN_SLIM, ImageRecipe, Step
from kernel_bridge.protocol.sessions import Notebook, SessionSpec

PYTHON: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"
CARD: Final = "A100"  # simulated
MARK: Final = "cellburst-benchmark"  # in a data directory: what is there is ours to throw away


class NotOurs(Exception):
    """The runtime of this process is somebody's: it must not be stopped, nor its state thrown away."""


def own_environment(folder: Path) -> dict[str, str]:
    """Return the settings that point a process at the benchmark's runtime; what it builds is kept between runs."""
    data = Path(tempfile.gettempdir()) / f"cellburst-benchmark-{os.getuid()}"
    data.mkdir(mode=0o700, exist_ok=True)
    (data / MARK).touch()
    return {
        "CELLBURST_DATA_DIR": str(data),
        "CELLBURST_CONFIG_DIR": str(folder / "config"),
        "CELLBURST_RUNTIME_DIR": str(folder / "runtime"),
        "CELLBURST_SIMULATE_GPUS": "A100:4",
    }


def check_ours() -> None:
    """Raise NotOurs unless this process is pointed at a runtime that only the benchmark uses."""
    config = ClientConfig.load()
    chosen = all(os.environ.get(f"CELLBURST_{name}_DIR") for name in ("CONFIG", "DATA", "RUNTIME"))
    if not chosen or config.connected is not None or not (config.data_dir / MARK).is_file():
        raise NotOurs(
            "Start a row by `python -m benchmarks NAME`: this process is not pointed at a runtime of its own."
        )


@contextmanager
def runtime() -> Iterator[ControlPlane]:
    """Start the embedded runtime that this process is pointed at; yield its routes, and stop it afterwards.

    Raises NotOurs, before anything is touched, in a process that is not pointed at the benchmark's own directories.
    """
    check_ours()
    try:
        plane = ControlPlane(ensure_runtime(ClientConfig.load()))
        try:
            yield plane
        finally:
            plane.close()
    finally:
        stop_runtime()
        _forget_sessions()


def stop_runtime() -> None:
    """Stop the runtime of this process; raises NotOurs when it is somebody's."""
    check_ours()
    command = [sys.executable, "-P", "-m", "kernel_bridge.cli.main", "runtime", "stop"]
    subprocess.run(command, check=False, capture_output=True)


def data_dir() -> Path:
    """Return where the runtime of this process keeps what it builds."""
    return ClientConfig.load().data_dir


def plain_image(*packages: str) -> ImageRecipe:
    """Return a recipe with nothing but these packages; without any, the notebook's own."""
    if not packages:
        return ImageRecipe(python=PYTHON)
    return ImageRecipe(base=DEBIAN_SLIM, python=PYTHON, steps=(Step("pip_install", packages),))


def notebook_spec(image: ImageRecipe, *, kernel_id: str = "", gpu: str = CARD) -> SessionSpec:
    """Return what a notebook kernel on this host asks for; a new one each time unless it is named."""
    notebook = Notebook(
        kernel_id=kernel_id or uuid.uuid4().hex,
        directory=tempfile.gettempdir(),
        boot_id=boot_id(),
        pid=os.getpid(),
        python=PYTHON,
    )
    return SessionSpec(notebook=notebook, image=image, gpu=gpu)


def _forget_sessions() -> None:
    """Drop what rows leave in the data directory, but not what was built there."""
    check_ours()
    for name in ("sessions", "blobs"):
        shutil.rmtree(data_dir() / name, ignore_errors=True)
    for path in data_dir().glob("store.sqlite3*"):
        path.unlink(missing_ok=True)
