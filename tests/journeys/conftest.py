"""What journeys share: a user's own folders, and the runtime that was started in them, ended afterwards."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ext import notebook
from kernel_bridge.client import buffers
from kernel_bridge.client.embedded import running_runtime, wait_until_gone
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig


@pytest.fixture(scope="module")
def config() -> Iterator[ClientConfig]:
    """A user's directories, with a short path as there will be a socket in them; the tests run in the notebook's."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="cb") as folder:
        for name in ("config", "data", "runtime"):
            patch.setenv(f"CELLBURST_{name.upper()}_DIR", f"{folder}/{name}")
        patch.setenv("IPYTHONDIR", f"{folder}/ipython")
        (Path(folder) / "notebook").mkdir()
        patch.chdir(Path(folder) / "notebook")
        found = ClientConfig.load()
        yield found
        _stop_runtime(found)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A notebook that shares no memory with the runtime: what is large goes over HTTP."""
    other = tmp_path / "boot_id"
    other.write_text(str(uuid.uuid4()))
    monkeypatch.setattr(buffers, "_BOOT_ID", other)
    notebook._boot_id.cache_clear()
    yield
    notebook._boot_id.cache_clear()


def _stop_runtime(config: ClientConfig) -> None:
    if running_runtime(config) is not None:
        with ControlPlane(config.embedded_address()) as plane:
            plane.stop_runtime()
        wait_until_gone(config)
