"""The table of `%gpu_config`."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ext.preferences import KEYS, Preferences
from kernel_bridge.errors import BadOption
from kernel_bridge.protocol.sessions import VolumeMount


@pytest.mark.parametrize(
    ("key", "text", "value", "shown"),
    [
        ("gpu", "h100:2", "H100:2", "H100:2"),
        ("image", "img", "img", "img"),
        ("volumes", "m:/m,d:/d:ro", (VolumeMount("m", "/m"), VolumeMount("d", "/d", True)), "m:/m,d:/d:ro"),
        ("volumes", "m@2/a:/m", (VolumeMount("m", "/m", True, "a", 2),), "m@2/a:/m"),
        ("volumes", "none", (), "none"),
        ("secrets", "hf,wandb", ("hf", "wandb"), "hf,wandb"),
        ("cpu", "2.5", 2.5, "2.5"),
        ("memory", "16G", 16 << 30, "16G"),
        ("timeout", "30m", 1800.0, "30m"),
        ("timeout", "none", None, "none"),
        ("idle", "10m", 600.0, "10m"),
        ("writeback_limit", "64M", 64 << 20, "64M"),
        ("writeback_limit", "auto", None, "auto"),
    ],
)
def test_a_setting_is_read_and_shown_alike(key: str, text: str, value: Any, shown: str) -> None:
    """What was written is what the table says."""
    changed = Preferences().change(key, text)
    assert getattr(changed, key) == value
    assert {name: each for name, each, _ in changed.table()}[key] == shown


@pytest.mark.parametrize(
    ("key", "text"), [("color", "red"), ("cpu", "0"), ("idle", "soon"), ("volumes", "m"), ("memory", "x")]
)
def test_a_wrong_setting_says_what_to_write(key: str, text: str) -> None:
    """Nothing is changed silently into something else."""
    with pytest.raises(BadOption):
        Preferences().change(key, text)


def test_the_table_has_a_line_for_every_setting() -> None:
    """Nobody has to guess what can be set."""
    assert [key for key, _, _ in Preferences().table()] == list(KEYS)
