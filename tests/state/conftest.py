"""A notebook with a runtime of its own, for the tables."""

from __future__ import annotations

import atexit
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.config import ClientConfig
from tests.journeys.conftest import config

__all__ = ["config", "shell"]


@pytest.fixture(scope="module")
def shell(config: ClientConfig) -> Iterator[InteractiveShell]:
    """A notebook with one simulated card."""
    del config
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend("")
        made = InteractiveShell()
        made.run_line_magic("load_ext", "cellburst")
        made.run_cell("%gpu_config simulate=A100:1")
        yield made
        made.run_line_magic("unload_ext", "cellburst")
        atexit.unregister(made.atexit_operations)
        made.atexit_operations()
