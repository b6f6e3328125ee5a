"""Tab in a front end: what a real kernel answers to a complete_request, with a runtime that has something to offer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig

pytestmark = pytest.mark.timeout(240)

SETUP = """
%load_ext cellburst
import cellburst
data, delta = [1], 2
image = cellburst.Image.debian_slim()
"""
Complete = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def kernel(config: ClientConfig) -> Iterator[Any]:
    """A kernel with the extension, as a front end has it, and no runtime yet."""
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        assert client.execute_interactive(SETUP, timeout=60)["content"]["status"] == "ok"
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture
def complete(kernel: Any) -> Complete:
    """Ask at the end of a text, or where it says `|`."""

    def ask(text: str) -> dict[str, Any]:
        code = text.replace("|", "", 1)
        at = text.index("|") if "|" in text else len(code)
        content: dict[str, Any] = kernel.complete(code, at, reply=True, timeout=60)["content"]
        return content

    return ask


def test_without_a_runtime_names_of_the_notebook_are_offered(complete: Complete, config: ClientConfig) -> None:
    """Variables, images and all cards that have a name; what is replaced is the word at the cursor."""
    answer = complete("%%gpu --in data,de|\nlen(data)")
    assert answer["matches"] == ["delta"]
    assert (answer["cursor_start"], answer["cursor_end"]) == (16, 18)
    assert complete("%%gpu --image im")["matches"] == ["image"]
    assert "H100" in complete("%%gpu H")["matches"]
    assert complete("%%gpu H100 --dr|\nx = 1")["matches"] == ["--dry-run"]
    assert not config.token_path.exists()


def test_a_runtime_has_its_cards_volumes_and_secrets_offered(
    complete: Complete, kernel: Any, config: ClientConfig
) -> None:
    """Also what was made a moment ago, by somebody else."""
    started = kernel.execute_interactive("%gpu_config simulate=L4:2", timeout=120)
    assert started["content"]["status"] == "ok"
    with ControlPlane(config.embedded_address()) as plane:
        plane.create_volume("models")
        plane.put_secret("hf", {"HF_TOKEN": "value"})
    assert _until(complete, "%%gpu --volume mo", ["models:/models"])
    assert _until(complete, "%%gpu --secret h", ["hf"])
    assert complete("%%gpu L")["matches"] == ["L4", "L4:2"]
    assert complete("%gpu_config gpu=")["matches"] == ["L4", "L4:2", "any", "cpu"]


def _until(complete: Complete, text: str, matches: list[str]) -> bool:
    """What is remembered is a few seconds old at most: ask until it is new."""
    deadline = time.monotonic() + 60
    while (found := complete(text)["matches"]) != matches:
        assert time.monotonic() < deadline, found
        time.sleep(0.25)
    return True
